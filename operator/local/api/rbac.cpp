#include "operator/local/api/rbac.h"

#include <algorithm>

#include "operator/local/api/body.h"
#include "operator/local/api/metadata.h"

namespace stepdown::local::api {
namespace {

constexpr const char* kGroup = ".rbac.authorization.k8s.io";

bool lists(const Json& rule, const char* key, const std::string& wanted) {
  const auto it = rule.find(key);
  if (it == rule.end() || !it->is_array()) return false;
  return std::any_of(it->begin(), it->end(),
                     [&](const Json& entry) { return entry == wanted || entry == "*"; });
}

bool allows(const Json& role, const Target& target) {
  if (!role.contains("rules") || !role["rules"].is_array()) return false;
  const std::string resource =
      target.subresource.empty() ? target.plural : target.plural + "/" + target.subresource;
  for (const Json& rule : role["rules"]) {
    if (!lists(rule, "verbs", target.verb) || !lists(rule, "apiGroups", target.group)) continue;
    const bool any_of_subresource =
        !target.subresource.empty() && lists(rule, "resources", "*/" + target.subresource);
    if (!lists(rule, "resources", resource) && !any_of_subresource) continue;
    const auto names = rule.find("resourceNames");
    const bool restricted = names != rule.end() && names->is_array() && !names->empty();
    if (restricted && std::find(names->begin(), names->end(), Json(target.name)) == names->end()) continue;
    return true;
  }
  return false;
}

bool concerns(const Json& binding, const User& user) {
  if (!binding.contains("subjects") || !binding["subjects"].is_array()) return false;
  for (const Json& subject : binding["subjects"]) {
    const std::string kind = subject.value("kind", "");
    const std::string name = subject.value("name", "");
    if (kind == "ServiceAccount" &&
        user.name == "system:serviceaccount:" + subject.value("namespace", "") + ":" + name)
      return true;
    if (kind == "User" && user.name == name) return true;
    if (kind == "Group" && std::find(user.groups.begin(), user.groups.end(), name) != user.groups.end())
      return true;
  }
  return false;
}

bool granted(Cluster& cluster, const User& user, const Target& target) {
  if (std::find(user.groups.begin(), user.groups.end(), "system:masters") != user.groups.end()) return true;
  Store& store = cluster.store();
  const auto through = [&](const std::string& bindings, const std::string& space) {
    for (const Json& binding : store.list({bindings + kGroup, space, {}, {}, {}, 0}).objects) {
      if (!concerns(binding, user)) continue;
      const Json& reference = binding.at("roleRef");
      const bool of_space = reference.value("kind", "") == "Role";
      const auto role = store.get({(of_space ? "roles" : "clusterroles") + std::string(kGroup),
                                   of_space ? space : "", reference.value("name", "")});
      if (role && allows(*role, target)) return true;
    }
    return false;
  };
  if (through("clusterrolebindings", "")) return true;
  return !target.space.empty() && through("rolebindings", target.space);
}

}  // namespace

void authorize(Cluster& cluster, const User& user, const Target& target) {
  if (granted(cluster, user, target)) return;
  const std::string resource =
      target.subresource.empty() ? target.plural : target.plural + "/" + target.subresource;
  const std::string where =
      target.space.empty() ? " at the cluster scope" : " in the namespace " + in_quotes(target.space);
  throw forbidden({target.group, target.plural, "", target.name},
                  "User " + in_quotes(user.name) + " cannot " + target.verb + " resource " +
                      in_quotes(resource) + " in API group " + in_quotes(target.group) + where);
}

void authorize_path(Cluster& cluster, const Request& request) {
  (void)cluster;
  if (request.user.name.empty()) throw unauthorized();
}

Json review_access(Cluster& cluster, const Request& request) {
  Json review = parse_body(request.body, request.content_type);
  const Json attributes = review.value("spec", Json::object()).value("resourceAttributes", Json::object());
  const auto text = [&](const char* key) { return attributes.value(key, ""); };
  const bool allowed = granted(cluster, request.user,
                               {text("verb"), text("group"), text("version"), text("resource"),
                                text("namespace"), text("name"), text("subresource")});
  review["kind"] = "SelfSubjectAccessReview";
  review["apiVersion"] = "authorization.k8s.io/v1";
  review["metadata"] = Json::object();
  review["status"] = {{"allowed", allowed}};
  return review;
}

}  // namespace stepdown::local::api
