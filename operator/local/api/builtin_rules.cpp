#include <set>

#include "operator/local/api/admission.h"
#include "operator/local/api/metadata.h"

namespace stepdown::local::api {
namespace {

void check_immutable(const Json& object, const Json* old, std::initializer_list<const char*> path,
                     const std::string& field, std::vector<Cause>& causes) {
  if (old == nullptr || at(object, path) == at(*old, path)) return;
  const Json& value = at(object, path);
  causes.push_back(
      invalid_field(field, value.is_structured() ? value.dump() : value.dump(), "field is immutable"));
}

void check_selector(const Json& object, std::vector<Cause>& causes) {
  const Json& wanted = at(object, {"spec", "selector", "matchLabels"});
  const Json& labels = at(object, {"spec", "template", "metadata", "labels"});
  if (at(object, {"spec", "selector"}).is_object() && at(object, {"spec", "selector"}).empty()) {
    causes.push_back(invalid_field("spec.selector", "{}", "empty selector is invalid for deployment"));
  }
  if (!wanted.is_object()) return;
  for (const auto& [key, value] : wanted.items()) {
    if (labels.is_object() && labels.contains(key) && labels[key] == value) continue;
    causes.push_back(invalid_field("spec.template.metadata.labels",
                                   labels.is_object() ? labels.dump() : "null",
                                   "`selector` does not match template `labels`"));
    return;
  }
}

void check_containers(const Json& spec, const std::string& path, std::vector<Cause>& causes) {
  const Json& containers = at(spec, {"containers"});
  if (!containers.is_array() || containers.empty()) causes.push_back(required_field(path + ".containers"));
  std::set<std::string> names;
  for (std::size_t i = 0; containers.is_array() && i < containers.size(); ++i) {
    const std::string place = path + ".containers[" + std::to_string(i) + "]";
    const Json& image = at(containers[i], {"image"});
    if (!image.is_string() || image.get_ref<const std::string&>().empty())
      causes.push_back(required_field(place + ".image"));
    const Json& name = at(containers[i], {"name"});
    if (name.is_string() && !names.insert(name.get<std::string>()).second) {
      causes.push_back(duplicate_field(place + ".name", name.dump()));
    }
  }
}

}  // namespace

std::vector<Cause> check_builtin(const Json& object, const Json* old, const Resource& resource) {
  std::vector<Cause> causes;
  if (resource.storage == "pods") check_containers(at(object, {"spec"}), "spec", causes);
  if (resource.storage == "deployments.apps" || resource.storage == "replicasets.apps") {
    check_selector(object, causes);
    check_containers(at(object, {"spec", "template", "spec"}), "spec.template.spec", causes);
    check_immutable(object, old, {"spec", "selector"}, "spec.selector", causes);
  }
  if (resource.storage == "jobs.batch") {
    check_containers(at(object, {"spec", "template", "spec"}), "spec.template.spec", causes);
    if (at(object, {"spec", "template", "spec", "restartPolicy"}) == "Always") {
      causes.push_back(
          required_field("spec.template.spec.restartPolicy", R"(valid values: "OnFailure", "Never")"));
    }
    check_immutable(object, old, {"spec", "selector"}, "spec.selector", causes);
    check_immutable(object, old, {"spec", "template"}, "spec.template", causes);
    check_immutable(object, old, {"spec", "completionMode"}, "spec.completionMode", causes);
  }
  if (resource.storage == "services" && old != nullptr && at(*old, {"spec", "clusterIP"}).is_string()) {
    check_immutable(object, old, {"spec", "clusterIP"}, "spec.clusterIP", causes);
  }
  if (resource.storage.ends_with("rolebindings.rbac.authorization.k8s.io") && old != nullptr &&
      at(object, {"roleRef"}) != at(*old, {"roleRef"})) {
    causes.push_back(invalid_field("roleRef", at(object, {"roleRef"}).dump(), "cannot change roleRef"));
  }
  if ((resource.storage == "configmaps" || resource.storage == "secrets") && old != nullptr &&
      at(*old, {"immutable"}) == true) {
    for (const char* key : {"data", "binaryData", "immutable"}) {
      if (at(object, {key}) != at(*old, {key}))
        causes.push_back(forbidden_field(key, "field is immutable when `immutable` is set"));
    }
  }
  return causes;
}

}  // namespace stepdown::local::api
