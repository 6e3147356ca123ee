#include "operator/local/api/rbac.h"

#include <algorithm>

#include "operator/local/api/body.h"
#include "operator/local/api/clock.h"
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

bool allows(const Json& rule, const Target& target) {
  const std::string resource =
      target.subresource.empty() ? target.plural : target.plural + "/" + target.subresource;
  if (!lists(rule, "verbs", target.verb) || !lists(rule, "apiGroups", target.group)) return false;
  const bool any_of_subresource =
      !target.subresource.empty() && lists(rule, "resources", "*/" + target.subresource);
  if (!lists(rule, "resources", resource) && !any_of_subresource) return false;
  const auto names = rule.find("resourceNames");
  const bool restricted = names != rule.end() && names->is_array() && !names->empty();
  return !restricted || std::find(names->begin(), names->end(), Json(target.name)) != names->end();
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

bool is_master(const User& user) {
  return std::find(user.groups.begin(), user.groups.end(), "system:masters") != user.groups.end();
}

/// Visits the rules of all roles that are bound to the user, in the whole cluster and in `space`, until one
/// visit says that it is enough.
bool visit_rules(Cluster& cluster, const User& user, const std::string& space,
                 const std::function<bool(const Json& rule)>& visit) {
  Store& store = cluster.store();
  const auto through = [&](const std::string& bindings, const std::string& where) {
    for (const Json& binding : store.list({bindings + kGroup, where, {}, {}, {}, 0}).objects) {
      if (!concerns(binding, user)) continue;
      const Json& reference = binding.at("roleRef");
      const bool of_space = reference.value("kind", "") == "Role";
      const auto role = store.get({(of_space ? "roles" : "clusterroles") + std::string(kGroup),
                                   of_space ? where : "", reference.value("name", "")});
      if (!role || !role->contains("rules") || !(*role)["rules"].is_array()) continue;
      for (const Json& rule : (*role)["rules"]) {
        if (visit(rule)) return true;
      }
    }
    return false;
  };
  return through("clusterrolebindings", "") || (!space.empty() && through("rolebindings", space));
}

bool granted(Cluster& cluster, const User& user, const Target& target) {
  return is_master(user) ||
         visit_rules(cluster, user, target.space, [&](const Json& rule) { return allows(rule, target); });
}

constexpr std::string_view kAccountPrefix = "system:serviceaccount:";

/// "system:serviceaccount:NAMESPACE:NAME" is a ServiceAccount, any other name a user.
Target impersonation(const std::string& name) {
  Target target{"impersonate", "", "v1", "users", "", name, ""};
  if (!name.starts_with(kAccountPrefix)) return target;
  const std::string rest = name.substr(kAccountPrefix.size());
  const auto colon = rest.find(':');
  if (colon == std::string::npos) return target;
  return {"impersonate", "", "v1", "serviceaccounts", rest.substr(0, colon), rest.substr(colon + 1), ""};
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

User effective_user(Cluster& cluster, const Request& request) {
  User wanted = request.impersonate;
  if (wanted.name.empty() && wanted.groups.empty()) return request.user;
  if (wanted.name.empty()) throw bad_request("a group is impersonated without a user: give --as too");
  const Target target = impersonation(wanted.name);
  authorize(cluster, request.user, target);
  for (const std::string& group : wanted.groups) {
    authorize(cluster, request.user, {"impersonate", "", "v1", "groups", "", group, ""});
  }
  if (target.plural == "serviceaccounts" && wanted.groups.empty()) {
    wanted.groups = {"system:serviceaccounts", "system:serviceaccounts:" + target.space};
  }
  if (wanted.name != "system:anonymous") wanted.groups.emplace_back("system:authenticated");
  return wanted;
}

Json review_self(const Request& request) {
  return {{"kind", "SelfSubjectReview"},
          {"apiVersion", "authentication.k8s.io/v1"},
          {"metadata", {{"creationTimestamp", now_rfc3339()}}},
          {"status", {{"userInfo", {{"username", request.user.name}, {"groups", request.user.groups}}}}}};
}

Json review_rules(Cluster& cluster, const Request& request) {
  const Json review = parse_body(request.body, request.content_type);
  const Json everything = Json::array({"*"});
  Json rules = Json::array();
  Json paths = {
      {{"verbs", {"get"}}, {"nonResourceURLs", {"/api", "/apis", "/healthz", "/openapi", "/version"}}}};
  if (is_master(request.user)) {
    rules.push_back({{"verbs", everything}, {"apiGroups", everything}, {"resources", everything}});
    paths.push_back({{"verbs", everything}, {"nonResourceURLs", everything}});
  }
  visit_rules(cluster, request.user, review.value("spec", Json::object()).value("namespace", ""),
              [&](const Json& rule) {
                rules.push_back(rule);
                return false;
              });
  return {{"kind", "SelfSubjectRulesReview"},
          {"apiVersion", "authorization.k8s.io/v1"},
          {"metadata", Json::object()},
          {"spec", Json::object()},
          {"status", {{"resourceRules", rules}, {"nonResourceRules", paths}, {"incomplete", false}}}};
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
