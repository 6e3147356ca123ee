#include "operator/cli/report_pod.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/kube/object.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

constexpr std::string_view kScheme = "pvc://";

/// The elements of `list` whose `field` is `text`.
json only(const json& list, const char* field, const std::string& text) {
  json out = json::array();
  if (!list.is_array()) return out;
  for (const json& each : list) {
    if (kube::text_at(each, field) == text) out.push_back(each);
  }
  return out;
}

}  // namespace

json report_pod(const json& model, const json& job, const std::string& uri) {
  json spec = kube::value_at(job, "/spec/template/spec");
  const auto slash = uri.find('/', kScheme.size());
  if (!uri.starts_with(kScheme) || slash == std::string::npos || !spec.is_object() ||
      !kube::value_at(spec, "/containers/0").is_object()) {
    throw Error("the Job or the report's place is not as this version writes them", uri,
                "use the operator's own version of this program");
  }
  json& container = spec["containers"][0];
  container["args"] = {"artifacts", "--dir", "/artifacts", "--print", uri.substr(slash + 1)};
  json mounts = only(kube::value_at(container, "/volumeMounts"), "/mountPath", "/artifacts");
  for (json& mount : mounts) mount["readOnly"] = true;
  spec["volumes"] = only(kube::value_at(spec, "/volumes"), "/name", kube::text_at(mounts, "/0/name"));
  container["volumeMounts"] = std::move(mounts);
  container.erase("resources");
  spec["restartPolicy"] = "Never";
  const kube::ObjectKey key = kube::key_of(model);
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata",
           {{"generateName", key.name + "-report-"},
            {"namespace", key.ns},
            {"labels", {{"app.kubernetes.io/managed-by", "kubectl-stepdown"}}},
            {"ownerReferences",
             {{{"apiVersion", kube::text_at(model, "/apiVersion")},
               {"kind", "QuantizedModel"},
               {"name", key.name},
               {"uid", kube::uid_of(model)}}}}}},
          {"spec", std::move(spec)}};
}

}  // namespace stepdown::cli
