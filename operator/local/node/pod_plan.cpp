#include "operator/local/node/pod_plan.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/api/values.h"
#include "operator/kube/object.h"
#include "operator/kube/time.h"

namespace stepdown::local {

using kube::text_at;
using kube::value_at;
using nlohmann::json;

namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

/// Images are names for programs that lie beside this one: one row each.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kImages = {{
    {"stepdown/engine", "stepdown-engine"},
    {"stepdown/gateway", "stepdown-gateway"},
    {"stepdown/operator", "stepdown-operator"},
}};

std::string field_value(const json& pod, const std::string& path, const std::string& pod_ip) {
  const auto named = [&](std::string_view prefix) {  // metadata.labels['x']
    return path.substr(prefix.size(), path.size() - prefix.size() - 2);
  };
  if (path == "status.podIP" || path == "status.podIPs") return pod_ip;
  if (path == "status.hostIP") return "127.0.0.1";
  if (path == "metadata.name") return kube::key_of(pod).name;
  if (path == "metadata.namespace") return kube::key_of(pod).ns;
  if (path == "metadata.uid") return kube::uid_of(pod);
  if (path == "spec.nodeName") return text_at(pod, "/spec/nodeName");
  if (path == "spec.serviceAccountName") return text_at(pod, "/spec/serviceAccountName");
  if (path.starts_with("metadata.labels['") && path.ends_with("']")) {
    return kube::label_of(pod, named("metadata.labels['"));
  }
  if (path.starts_with("metadata.annotations['") && path.ends_with("']")) {
    return kube::annotation_of(pod, named("metadata.annotations['"));
  }
  throw InputError("fieldRef is not supported by the local node", path);
}

Variables environment_of(const json& container, const json& pod, const std::string& pod_ip,
                         const Environment& node_environment) {
  Variables env = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                   {"HOME", "/root"},
                   {"HOSTNAME", kube::key_of(pod).name}};
  for (const auto& [name, value] : node_environment) env.emplace_back(name, value);
  for (const json& variable : value_at(container, "/env")) {
    const std::string name = text_at(variable, "/name");
    std::string value;
    if (!variable.contains("valueFrom")) {
      value = expand_variables(text_at(variable, "/value"), env);
    } else if (variable["valueFrom"].contains("fieldRef")) {
      value = field_value(pod, text_at(variable, "/valueFrom/fieldRef/fieldPath"), pod_ip);
    } else {
      throw InputError("of valueFrom the local node supports fieldRef alone", "env " + name);
    }
    std::erase_if(env, [&](const auto& entry) { return entry.first == name; });
    env.emplace_back(name, value);
  }
  return env;
}

std::vector<std::string> expand_all(const json& texts, const Variables& env) {
  std::vector<std::string> result;
  for (const json& text : texts) {
    if (text.is_string()) result.push_back(expand_variables(text.get<std::string>(), env));
  }
  return result;
}

/// Fields that change what runs, and that this node does not carry out: refused rather than ignored. A
/// preStop that only sleeps is for proxies that hear late of a pod that ends, and the local one does not.
void refuse_unsupported(const json& container) {
  constexpr std::array<std::pair<const char*, const char*>, 7> kUnsupported = {{
      {"/envFrom", "list the variables"},
      {"/lifecycle/postStart", "do it in the program, or in an init container"},
      {"/lifecycle/preStop/exec", "the program gets SIGTERM and its grace period"},
      {"/lifecycle/preStop/httpGet", "the program gets SIGTERM and its grace period"},
      {"/lifecycle/preStop/tcpSocket", "the program gets SIGTERM and its grace period"},
      {"/restartPolicy", "run it as a container of its own rather than a sidecar"},
      {"/volumeDevices", "mount a file system"},
  }};
  for (const auto& [field, mend] : kUnsupported) {
    if (const json& found = value_at(container, field); found.is_null() || found.empty()) continue;
    throw InputError(std::string(field + 1) + " is not supported by the local node",
                     text_at(container, "/name"), mend);
  }
}

ContainerPlan plan_container(const json& spec, const json& pod, const std::string& pod_ip,
                             const Environment& node_environment) {
  refuse_unsupported(spec);
  ContainerPlan plan;
  plan.name = text_at(spec, "/name");
  plan.image = text_at(spec, "/image");
  plan.env = environment_of(spec, pod, pod_ip, node_environment);
  plan.command = expand_all(value_at(spec, "/command"), plan.env);
  plan.args = expand_all(value_at(spec, "/args"), plan.env);
  plan.working_dir = text_at(spec, "/workingDir");
  plan.termination_path = text_at(spec, "/terminationMessagePath");
  plan.log_as_message = text_at(spec, "/terminationMessagePolicy") == "FallbackToLogsOnError";
  if (plan.termination_path.empty()) plan.termination_path = "/dev/termination-log";
  for (const json& mount : value_at(spec, "/volumeMounts")) {
    plan.mounts.push_back({text_at(mount, "/name"), text_at(mount, "/mountPath"), text_at(mount, "/subPath"),
                           value_at(mount, "/readOnly") == true});
    if (!plan.mounts.back().target.starts_with('/')) {
      throw InputError("mountPath is not absolute", plan.name + ": " + plan.mounts.back().target);
    }
  }
  if (const std::string limit = text_at(spec, "/resources/limits/memory"); !limit.empty()) {
    plan.memory_limit = api::parse_quantity(limit).value_or(0);
  }
  const auto probe = [&](const char* name, std::optional<Probe>& into) {
    if (const json& found = value_at(spec, name); found.is_object()) {
      into = parse_probe(found, value_at(spec, "/ports"), pod_ip);
    }
  };
  probe("/startupProbe", plan.startup);
  probe("/livenessProbe", plan.liveness);
  probe("/readinessProbe", plan.readiness);
  return plan;
}

}  // namespace

std::string expand_variables(std::string_view text, const Variables& env) {
  std::string result;
  while (!text.empty()) {
    const std::size_t dollar = std::min(text.find('$'), text.size());
    result += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.starts_with("$$")) {
      result += '$';
      text.remove_prefix(2);
      continue;
    }
    const std::size_t close = text.starts_with("$(") ? text.find(')') : std::string_view::npos;
    if (close == std::string_view::npos) {
      result += text.substr(0, 1);
      text.remove_prefix(std::min<std::size_t>(1, text.size()));
      continue;
    }
    const std::string_view name = text.substr(2, close - 2);
    const auto known =
        std::find_if(env.begin(), env.end(), [&](const auto& entry) { return entry.first == name; });
    result += known == env.end() ? text.substr(0, close + 1) : std::string_view(known->second);
    text.remove_prefix(close + 1);
  }
  return result;
}

std::string image_name(std::string_view image) {
  image = image.substr(0, image.find('@'));
  const std::size_t colon = image.rfind(':');
  if (colon != std::string_view::npos && image.find('/', colon) == std::string_view::npos)
    image = image.substr(0, colon);
  for (const std::string_view registry : {"docker.io/", "index.docker.io/"}) {
    if (image.starts_with(registry)) image.remove_prefix(registry.size());
  }
  return std::string(image);
}

std::optional<std::filesystem::path> image_program(std::string_view image,
                                                   const std::filesystem::path& binaries,
                                                   const std::filesystem::path& images) {
  const std::string name = image_name(image);
  for (const auto& [known, program] : kImages) {
    if (name == known) return binaries / program;
  }
  if (name.empty() || name.find("..") != std::string::npos) return std::nullopt;
  const std::filesystem::path added = images / std::filesystem::path(name).relative_path();
  // What it links to: a pod may mount something over the folder of the link.
  return std::filesystem::is_regular_file(added) ? std::optional(std::filesystem::canonical(added))
                                                 : std::nullopt;
}

PodPlan plan_pod(const json& pod, const std::string& pod_ip, const Environment& node_environment) {
  PodPlan plan;
  const std::string policy = text_at(pod, "/spec/restartPolicy");
  plan.restart_policy = policy == "Never"       ? RestartPolicy::kNever
                        : policy == "OnFailure" ? RestartPolicy::kOnFailure
                                                : RestartPolicy::kAlways;
  plan.grace = kube::seconds_at(pod, "/spec/terminationGracePeriodSeconds", 30);
  for (const json& container : value_at(pod, "/spec/initContainers")) {
    plan.init_containers.push_back(plan_container(container, pod, pod_ip, node_environment));
  }
  for (const json& container : value_at(pod, "/spec/containers")) {
    plan.containers.push_back(plan_container(container, pod, pod_ip, node_environment));
  }
  return plan;
}

}  // namespace stepdown::local
