// Cells of the built-in kinds, as kubectl shows them. One function a kind, one row in the table below; the
// columns they fill are recorded in builtins/builtins.json.
#include <ctime>
#include <map>

#include "operator/local/api/clock.h"
#include "operator/local/api/metadata.h"
#include "operator/local/api/table.h"

namespace stepdown::local::api {
namespace {

std::string text(const Json& value, const std::string& absent = "") {
  return value.is_string() ? value.get<std::string>() : absent;
}
std::int64_t count(const Json& value, std::int64_t absent = 0) {
  return value.is_number_integer() ? value.get<std::int64_t>() : absent;
}
std::string or_none(const std::string& value) {
  return value.empty() ? "<none>" : value;
}

std::string since(const std::string& time) {
  if (time.empty()) return "<unknown>";
  return human_duration(std::time(nullptr) - parse_rfc3339(time));
}

std::string age(const Json& object) {
  return since(meta(object, "creationTimestamp"));
}
std::string name(const Json& object) {
  return meta(object, "name");
}

template <typename Print>
std::string join(const Json& list, Print print, const char* mark = ",") {
  std::string out;
  if (!list.is_array()) return out;
  for (const Json& item : list) out += (out.empty() ? "" : mark) + print(item);
  return out;
}

std::string container_names(const Json& pod) {
  return join(at(pod, {"spec", "containers"}), [](const Json& c) { return text(at(c, {"name"})); });
}
std::string container_images(const Json& pod) {
  return join(at(pod, {"spec", "containers"}), [](const Json& c) { return text(at(c, {"image"})); });
}

std::string labels(const Json& map) {
  std::string out;
  if (map.is_object()) {
    for (const auto& [key, value] : map.items()) out += (out.empty() ? "" : ",") + key + "=" + text(value);
  }
  return or_none(out);
}

std::string selector(const Json& object) {
  return labels(at(object, {"spec", "selector", "matchLabels"}));
}

std::string pod_status(const Json& pod) {
  std::string reason = text(at(pod, {"status", "phase"}));
  if (const std::string own = text(at(pod, {"status", "reason"})); !own.empty()) reason = own;
  bool initializing = false;
  const Json& inits = at(pod, {"status", "initContainerStatuses"});
  const std::size_t total = at(pod, {"spec", "initContainers"}).size();
  for (std::size_t i = 0; inits.is_array() && i < inits.size(); ++i) {
    const Json& ended = at(inits[i], {"state", "terminated"});
    if (ended.is_object() && count(at(ended, {"exitCode"})) == 0) continue;
    const std::string why =
        text(at(ended.is_object() ? ended : at(inits[i], {"state", "waiting"}), {"reason"}));
    reason = !why.empty() && why != "PodInitializing"
                 ? "Init:" + why
                 : "Init:" + std::to_string(i) + "/" + std::to_string(total);
    initializing = true;
    break;
  }
  if (!initializing) {
    bool running = false;
    const Json& statuses = at(pod, {"status", "containerStatuses"});
    if (statuses.is_array()) {
      for (auto it = statuses.rbegin(); it != statuses.rend(); ++it) {
        const std::string waiting = text(at(*it, {"state", "waiting", "reason"}));
        const Json& ended = at(*it, {"state", "terminated"});
        if (!waiting.empty()) {
          reason = waiting;
        } else if (ended.is_object()) {
          reason = text(at(ended, {"reason"}), "ExitCode:" + std::to_string(count(at(ended, {"exitCode"}))));
        } else if (at(*it, {"ready"}) == true && at(*it, {"state", "running"}).is_object()) {
          running = true;
        }
      }
    }
    if (reason == "Completed" && running) reason = "Running";
  }
  return is_deleting(pod) ? "Terminating" : reason;
}

Json pods(const Json& pod) {
  std::int64_t ready = 0;
  std::int64_t restarts = 0;
  std::string restarted;
  const Json& statuses = at(pod, {"status", "containerStatuses"});
  if (statuses.is_array()) {
    for (const Json& status : statuses) {
      ready += at(status, {"ready"}) == true ? 1 : 0;
      restarts += count(at(status, {"restartCount"}));
      restarted = std::max(restarted, text(at(status, {"lastState", "terminated", "finishedAt"})));
    }
  }
  std::string shown = std::to_string(restarts);
  if (restarts > 0 && !restarted.empty()) shown += " (" + since(restarted) + " ago)";
  return {name(pod),
          std::to_string(ready) + "/" + std::to_string(at(pod, {"spec", "containers"}).size()),
          pod_status(pod),
          shown,
          age(pod),
          or_none(text(at(pod, {"status", "podIP"}))),
          or_none(text(at(pod, {"spec", "nodeName"}))),
          or_none(text(at(pod, {"status", "nominatedNodeName"}))),
          "<none>"};
}

Json namespaces(const Json& o) {
  return {name(o), text(at(o, {"status", "phase"})), age(o)};
}

Json services(const Json& o) {
  const std::string type = text(at(o, {"spec", "type"}));
  std::string external = type == "ExternalName"   ? text(at(o, {"spec", "externalName"}))
                         : type == "LoadBalancer" ? "<pending>"
                                                  : "<none>";
  const Json& ips = at(o, {"spec", "externalIPs"});
  if (ips.is_array() && !ips.empty()) external = join(ips, [](const Json& ip) { return text(ip); });
  const std::string ports = join(at(o, {"spec", "ports"}), [](const Json& port) {
    const std::string node =
        count(at(port, {"nodePort"})) > 0 ? ":" + std::to_string(count(at(port, {"nodePort"}))) : "";
    return std::to_string(count(at(port, {"port"}))) + node + "/" + text(at(port, {"protocol"}));
  });
  return {name(o),        type,   or_none(text(at(o, {"spec", "clusterIP"}))), external,
          or_none(ports), age(o), labels(at(o, {"spec", "selector"}))};
}

Json config_maps(const Json& o) {
  return {name(o), at(o, {"data"}).size() + at(o, {"binaryData"}).size(), age(o)};
}
Json secrets(const Json& o) {
  return {name(o), text(at(o, {"type"})), at(o, {"data"}).size(), age(o)};
}
Json service_accounts(const Json& o) {
  return {name(o), at(o, {"secrets"}).size(), age(o)};
}

std::string access_modes(const Json& list) {
  static const std::map<std::string, std::string> kShort = {{"ReadWriteOnce", "RWO"},
                                                            {"ReadOnlyMany", "ROX"},
                                                            {"ReadWriteMany", "RWX"},
                                                            {"ReadWriteOncePod", "RWOP"}};
  return join(list, [](const Json& mode) {
    const auto it = kShort.find(text(mode));
    return it == kShort.end() ? text(mode) : it->second;
  });
}

Json claims(const Json& o) {
  const std::string volume = text(at(o, {"spec", "volumeName"}));
  return {name(o),
          is_deleting(o) ? "Terminating" : text(at(o, {"status", "phase"})),
          volume,
          volume.empty() ? "" : text(at(o, {"status", "capacity", "storage"})),
          volume.empty() ? "" : access_modes(at(o, {"status", "accessModes"})),
          text(at(o, {"spec", "storageClassName"})),
          "<unset>",
          age(o),
          text(at(o, {"spec", "volumeMode"}))};
}

Json volumes(const Json& o) {
  const Json& claim = at(o, {"spec", "claimRef"});
  return {name(o),
          text(at(o, {"spec", "capacity", "storage"})),
          access_modes(at(o, {"spec", "accessModes"})),
          text(at(o, {"spec", "persistentVolumeReclaimPolicy"})),
          text(at(o, {"status", "phase"})),
          claim.is_object() ? text(at(claim, {"namespace"})) + "/" + text(at(claim, {"name"})) : "",
          text(at(o, {"spec", "storageClassName"})),
          "<unset>",
          text(at(o, {"status", "reason"})),
          age(o),
          text(at(o, {"spec", "volumeMode"}))};
}

std::string lower(std::string value) {
  for (char& c : value) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return value;
}

Json events(const Json& stored) {
  // Either version's names.
  const auto either = [&](const char* core, const char* modern) -> const Json& {
    const Json& value = at(stored, {core});
    return value.is_null() ? at(stored, {modern}) : value;
  };
  const Json& about = either("involvedObject", "regarding");
  const std::string first =
      text(either("firstTimestamp", "deprecatedFirstTimestamp"), text(at(stored, {"eventTime"})));
  std::string last = text(at(stored, {"series", "lastObservedTime"}),
                          text(either("lastTimestamp", "deprecatedLastTimestamp"), first));
  if (last.empty()) last = meta(stored, "creationTimestamp");
  const std::int64_t times =
      count(at(stored, {"series", "count"}), count(either("count", "deprecatedCount"), 1));
  std::string source = text(at(either("source", "deprecatedSource"), {"component"}));
  if (source.empty()) source = text(either("reportingComponent", "reportingController"));
  if (const std::string host = text(at(either("source", "deprecatedSource"), {"host"})); !host.empty())
    source += ", " + host;
  std::string object = lower(text(at(about, {"kind"})));
  if (const std::string of = text(at(about, {"name"})); !of.empty()) object += "/" + of;
  return {since(last),
          text(at(stored, {"type"})),
          text(at(stored, {"reason"})),
          object,
          text(at(about, {"fieldPath"})),
          source,
          text(either("message", "note")),
          since(first.empty() ? last : first),
          times,
          name(stored)};
}

Json nodes(const Json& o) {
  std::string status = "Unknown";
  const Json& conditions = at(o, {"status", "conditions"});
  if (conditions.is_array()) {
    for (const Json& condition : conditions) {
      if (text(at(condition, {"type"})) == "Ready")
        status = text(at(condition, {"status"})) == "True" ? "Ready" : "NotReady";
    }
  }
  if (at(o, {"spec", "unschedulable"}) == true) status += ",SchedulingDisabled";
  std::string roles;
  constexpr std::string_view kRole = "node-role.kubernetes.io/";
  if (at(o, {"metadata", "labels"}).is_object()) {
    for (const auto& [key, value] : at(o, {"metadata", "labels"}).items()) {
      if (key.starts_with(kRole)) roles += (roles.empty() ? "" : ",") + key.substr(kRole.size());
    }
  }
  std::string internal;
  std::string external;
  const Json& addresses = at(o, {"status", "addresses"});
  if (addresses.is_array()) {
    for (const Json& address : addresses) {
      if (text(at(address, {"type"})) == "InternalIP" && internal.empty())
        internal = text(at(address, {"address"}));
      if (text(at(address, {"type"})) == "ExternalIP" && external.empty())
        external = text(at(address, {"address"}));
    }
  }
  const auto info = [&](const char* key) {
    const std::string value = text(at(o, {"status", "nodeInfo", key}));
    return value.empty() ? std::string("<unknown>") : value;
  };
  return {name(o),
          status,
          or_none(roles),
          age(o),
          text(at(o, {"status", "nodeInfo", "kubeletVersion"})),
          or_none(internal),
          or_none(external),
          info("osImage"),
          info("kernelVersion"),
          info("containerRuntimeVersion")};
}

std::string some_of(const std::vector<std::string>& all, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < all.size() && i < most; ++i) out += (i == 0 ? "" : ",") + all[i];
  if (all.size() > most) out += " + " + std::to_string(all.size() - most) + " more...";
  return all.empty() ? "<none>" : out;
}

Json endpoints(const Json& o) {
  std::vector<std::string> all;
  const Json& subsets = at(o, {"subsets"});
  if (subsets.is_array()) {
    for (const Json& subset : subsets) {
      if (!at(subset, {"addresses"}).is_array() || !at(subset, {"ports"}).is_array()) continue;
      for (const Json& port : subset["ports"]) {
        for (const Json& address : subset["addresses"]) {
          all.push_back(text(at(address, {"ip"})) + ":" + std::to_string(count(at(port, {"port"}))));
        }
      }
    }
  }
  return {name(o), some_of(all, 3), age(o)};
}

Json endpoint_slices(const Json& o) {
  std::vector<std::string> ports;
  std::vector<std::string> addresses;
  if (at(o, {"ports"}).is_array()) {
    for (const Json& port : o["ports"])
      ports.push_back(at(port, {"port"}).is_number() ? std::to_string(count(at(port, {"port"}))) : "*");
  }
  if (at(o, {"endpoints"}).is_array()) {
    for (const Json& endpoint : o["endpoints"]) {
      if (!at(endpoint, {"addresses"}).is_array()) continue;
      for (const Json& address : endpoint["addresses"]) addresses.push_back(text(address));
    }
  }
  const auto unset = [](const std::string& list) { return list == "<none>" ? std::string("<unset>") : list; };
  return {name(o), text(at(o, {"addressType"})), unset(some_of(ports, 3)), unset(some_of(addresses, 3)),
          age(o)};
}

Json deployments(const Json& o) {
  const Json& pod = at(o, {"spec", "template"});
  return {name(o),
          std::to_string(count(at(o, {"status", "readyReplicas"}))) + "/" +
              std::to_string(count(at(o, {"spec", "replicas"}))),
          count(at(o, {"status", "updatedReplicas"})),
          count(at(o, {"status", "availableReplicas"})),
          age(o),
          container_names(pod),
          container_images(pod),
          selector(o)};
}

Json replica_sets(const Json& o) {
  const Json& pod = at(o, {"spec", "template"});
  return {name(o),
          count(at(o, {"spec", "replicas"})),
          count(at(o, {"status", "replicas"})),
          count(at(o, {"status", "readyReplicas"})),
          age(o),
          container_names(pod),
          container_images(pod),
          selector(o)};
}

Json jobs(const Json& o) {
  std::string status = "Running";
  const Json& conditions = at(o, {"status", "conditions"});
  if (conditions.is_array()) {
    for (const Json& condition : conditions) {
      if (text(at(condition, {"status"})) != "True") continue;
      const std::string type = text(at(condition, {"type"}));
      if (type == "Complete" || type == "Failed" || type == "Suspended") status = type;
    }
  }
  if (is_deleting(o)) status = "Terminating";
  const std::string done = std::to_string(count(at(o, {"status", "succeeded"})));
  std::string completions = done + "/" + std::to_string(count(at(o, {"spec", "completions"}), 1));
  if (at(o, {"spec", "completions"}).is_null()) {
    const std::int64_t parallel = count(at(o, {"spec", "parallelism"}));
    completions = parallel > 1 ? done + "/1 of " + std::to_string(parallel) : done + "/1";
  }
  std::string duration;
  if (const std::string start = text(at(o, {"status", "startTime"})); !start.empty()) {
    const std::string end = text(at(o, {"status", "completionTime"}));
    duration = human_duration((end.empty() ? std::time(nullptr) : parse_rfc3339(end)) - parse_rfc3339(start));
  }
  const Json& pod = at(o, {"spec", "template"});
  return {name(o),    status, completions, duration, age(o), container_names(pod), container_images(pod),
          selector(o)};
}

Json leases(const Json& o) {
  return {name(o), text(at(o, {"spec", "holderIdentity"})), age(o)};
}

Json budgets(const Json& o) {
  const auto shown = [](const Json& value) {
    return value.is_null() ? std::string("N/A") : value.is_string() ? text(value) : value.dump();
  };
  return {name(o), shown(at(o, {"spec", "minAvailable"})), shown(at(o, {"spec", "maxUnavailable"})),
          count(at(o, {"status", "disruptionsAllowed"})), age(o)};
}

Json roles(const Json& o) {
  return {name(o), meta(o, "creationTimestamp")};
}

Json role_bindings(const Json& o) {
  const auto of = [&](const std::string& kind) {
    std::string out;
    if (!at(o, {"subjects"}).is_array()) return out;
    for (const Json& subject : o["subjects"]) {
      if (text(at(subject, {"kind"})) != kind) continue;
      const std::string space = text(at(subject, {"namespace"}));
      out += (out.empty() ? "" : ", ") + (kind == "ServiceAccount" ? space + "/" : "") +
             text(at(subject, {"name"}));
    }
    return out;
  };
  return {name(o),     text(at(o, {"roleRef", "kind"})) + "/" + text(at(o, {"roleRef", "name"})),
          age(o),      of("User"),
          of("Group"), of("ServiceAccount")};
}

Json definitions(const Json& o) {
  return {name(o), meta(o, "creationTimestamp")};
}

using Print = Json (*)(const Json&);
const std::map<std::string, Print, std::less<>> kPrinters = {
    {"namespaces", namespaces},
    {"pods", pods},
    {"services", services},
    {"configmaps", config_maps},
    {"secrets", secrets},
    {"serviceaccounts", service_accounts},
    {"persistentvolumeclaims", claims},
    {"persistentvolumes", volumes},
    {"events", events},
    {"nodes", nodes},
    {"endpoints", endpoints},
    {"deployments.apps", deployments},
    {"replicasets.apps", replica_sets},
    {"jobs.batch", jobs},
    {"leases.coordination.k8s.io", leases},
    {"endpointslices.discovery.k8s.io", endpoint_slices},
    {"poddisruptionbudgets.policy", budgets},
    {"roles.rbac.authorization.k8s.io", roles},
    {"clusterroles.rbac.authorization.k8s.io", roles},
    {"rolebindings.rbac.authorization.k8s.io", role_bindings},
    {"clusterrolebindings.rbac.authorization.k8s.io", role_bindings},
    {"customresourcedefinitions.apiextensions.k8s.io", definitions},
};

}  // namespace

Json builtin_cells(const Resource& resource, const Json& object) {
  const auto it = kPrinters.find(resource.storage);
  return it == kPrinters.end() ? Json::array({name(object), age(object)}) : it->second(object);
}

}  // namespace stepdown::local::api
