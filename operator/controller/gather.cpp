#include "operator/controller/gather.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/log.h"
#include "operator/controller/ownership.h"
#include "operator/rollout/children/common.h"
#include "operator/rollout/sources.h"

namespace stepdown::controller {
namespace {

using nlohmann::json;

/// The condition of that type with status True; null when there is none.
const json* true_condition(const json& object, std::string_view type) {
  const json& conditions = kube::value_at(object, "/status/conditions");
  if (!conditions.is_array()) return nullptr;
  for (const json& each : conditions) {
    if (kube::text_at(each, "/type") == type && kube::text_at(each, "/status") == "True") return &each;
  }
  return nullptr;
}

struct Ending {
  std::string message;
  std::string finished_at;
};

std::optional<Ending> ending_of(const json& pod) {
  const json& containers = kube::value_at(pod, "/status/containerStatuses");
  if (!containers.is_array()) return std::nullopt;
  for (const json& container : containers) {
    const json& terminated = kube::value_at(container, "/state/terminated");
    if (!terminated.is_object()) continue;
    Ending ending{kube::text_at(terminated, "/message"), kube::text_at(terminated, "/finishedAt")};
    if (ending.message.empty()) {
      ending.message =
          kube::integer_at(terminated, "/exitCode", 0) == 0 ? "" : kube::text_at(terminated, "/reason");
    }
    return ending;
  }
  return std::nullopt;
}

/// Of the Job's pod that ended last, of those that ended so.
std::string last_message(const std::vector<kube::ObjectPtr>& pods, const std::string& job_uid,
                         std::string_view phase) {
  Ending last;
  for (const kube::ObjectPtr& pod : pods) {
    if (kube::controller_uid_of(*pod) != job_uid || kube::text_at(*pod, "/status/phase") != phase) continue;
    if (auto ending = ending_of(*pod); ending && ending->finished_at >= last.finished_at)
      last = std::move(*ending);
  }
  return last.message;
}

struct Waiting {
  std::string message;
  bool may_start = false;
};

/// Why a pod's containers do not run. A kubelet tells of an image in their status, of a volume by Event
/// alone; the scheduler tells in a condition of the pod.
Waiting waiting_of(const json& pod, const std::vector<kube::ObjectPtr>& events) {
  if (kube::text_at(pod, "/status/phase") != "Pending") return {};
  const json& containers = kube::value_at(pod, "/status/containerStatuses");
  if (containers.is_array()) {
    for (const json& container : containers) {
      const std::string message = kube::text_at(container, "/state/waiting/message");
      if (!message.empty()) return {message, false};
    }
  }
  const json& conditions = kube::value_at(pod, "/status/conditions");
  for (const json& each : conditions.is_array() ? conditions : json::array()) {
    if (kube::text_at(each, "/type") == "PodScheduled" && kube::text_at(each, "/status") == "False") {
      return {kube::text_at(each, "/reason") + ": " + kube::text_at(each, "/message"), true};
    }
  }
  // The last: a mount that first failed for want of time may fail for a reason that somebody can mend.
  const json* last = nullptr;
  const auto time_of = [](const json& event) { return kube::text_at(event, "/lastTimestamp"); };
  for (const kube::ObjectPtr& event : events) {
    if (kube::text_at(*event, "/involvedObject/uid") != kube::uid_of(pod)) continue;
    if (last == nullptr || time_of(*event) >= time_of(*last)) last = event.get();
  }
  if (last == nullptr) return {};
  return {"FailedMount: " + kube::text_at(*last, "/message"), false};
}

rollout::Child read_child(std::string_view kind, const json& object) {
  return {.kind = std::string(kind),
          .name = kube::key_of(object).name,
          .uid = kube::uid_of(object),
          .deleting = kube::is_being_deleted(object),
          .pinned = kube::label_of(object, rollout::children::kPinnedLabel) == "true"};
}

}  // namespace

rollout::Job read_job(const json& job, const std::vector<kube::ObjectPtr>& pods,
                      const std::vector<kube::ObjectPtr>& events) {
  rollout::Job out{.name = kube::key_of(job).name, .uid = kube::uid_of(job)};
  if (const json* failed = true_condition(job, "Failed")) {
    out.state = rollout::JobState::kFailed;
    out.reason = kube::text_at(*failed, "/reason") + ": " + kube::text_at(*failed, "/message");
    out.finished_at = api::parse_time(kube::text_at(*failed, "/lastTransitionTime"));
  } else if (true_condition(job, "Complete") != nullptr) {
    out.state = rollout::JobState::kSucceeded;
    out.finished_at = api::parse_time(kube::text_at(job, "/status/completionTime"));
  }
  if (out.state == rollout::JobState::kRunning) {
    for (const kube::ObjectPtr& pod : pods) {
      if (kube::controller_uid_of(*pod) != out.uid || !out.waiting.empty()) continue;
      const Waiting waiting = waiting_of(*pod, events);
      out.waiting = waiting.message;
      out.may_start = waiting.may_start;
    }
    out.setback = last_message(pods, out.uid, "Failed");
    return out;
  }
  out.summary =
      last_message(pods, out.uid, out.state == rollout::JobState::kSucceeded ? "Succeeded" : "Failed");
  out.pods_gone = std::ranges::none_of(
      pods, [&](const kube::ObjectPtr& pod) { return kube::controller_uid_of(*pod) == out.uid; });
  return out;
}

rollout::Deployment read_deployment(const json& deployment) {
  const auto count = [&](const char* field) {
    return kube::integer_at(deployment, std::string("/status/") + field, 0);
  };
  const std::int64_t wanted = kube::integer_at(deployment, "/spec/replicas", 1);
  const bool seen = count("observedGeneration") >= kube::integer_at(deployment, "/metadata/generation", 0) &&
                    count("observedGeneration") > 0;
  rollout::Deployment out{.name = kube::key_of(deployment).name,
                          .applied_hash = kube::annotation_of(deployment, rollout::children::kAppliedHash),
                          .settled = seen && count("updatedReplicas") == wanted &&
                                     count("replicas") == wanted && count("availableReplicas") >= wanted,
                          .available = count("availableReplicas")};
  const json& conditions = kube::value_at(deployment, "/status/conditions");
  if (seen && conditions.is_array()) {
    for (const json& each : conditions) {
      out.deadline_exceeded = out.deadline_exceeded || (kube::text_at(each, "/type") == "Progressing" &&
                                                        kube::text_at(each, "/status") == "False");
    }
  }
  return out;
}

rollout::Deployment read_leader_worker_set(const json& set) {
  const auto count = [&](const char* field) {
    return kube::integer_at(set, std::string("/status/") + field, 0);
  };
  const std::int64_t wanted = kube::integer_at(set, "/spec/replicas", 1);
  const std::int64_t generation = kube::integer_at(set, "/metadata/generation", 0);
  // Versions before 0.8 do not tell which generation they saw.
  const bool seen = kube::integer_at(set, "/status/observedGeneration", generation) >= generation &&
                    true_condition(set, "Available") != nullptr;
  return {.name = kube::key_of(set).name,
          .applied_hash = kube::annotation_of(set, rollout::children::kAppliedHash),
          .settled = seen && count("updatedReplicas") == wanted && count("replicas") == wanted &&
                     count("readyReplicas") >= wanted,
          .available = count("readyReplicas")};
}

rollout::Observed gather(api::QuantizedModel model, const ObjectsByKind& objects,
                         std::optional<api::EngineProfile> profile) {
  rollout::Observed out{.model = std::move(model), .profile = std::move(profile)};
  const auto of_kind = [&](std::string_view kind) {
    const auto found = objects.find(kind);
    return found == objects.end() ? std::vector<kube::ObjectPtr>() : found->second;
  };
  const std::vector<kube::ObjectPtr> pods = of_kind("Pod"), events = of_kind("Event");
  const api::Metadata& metadata = out.model.metadata;
  for (const auto& [kind, list] : objects) {
    for (const kube::ObjectPtr& object : list) {
      const bool ours = belongs_to(kind, *object, {metadata.ns, metadata.name}, metadata.uid);
      if (kind == "Job" && ours) out.jobs.push_back(read_job(*object, pods, events));
      if (kind == "Deployment" && ours) out.deployments.push_back(read_deployment(*object));
      if (kind == "LeaderWorkerSet" && ours) out.deployments.push_back(read_leader_worker_set(*object));
      if (kind == "QuantRevision") {
        try {
          out.revisions.push_back(api::parse_quant_revision(*object, api::UnknownFields::kIgnore));
        } catch (const Error& error) {
          log::warn("a QuantRevision is ignored",
                    {{"name", kube::key_of(*object).text()}, {"error", error.what()}});
          continue;
        }
      }
      if (kind != "Pod" && ours) out.children.push_back(read_child(kind, *object));
    }
  }
  return out;
}

compat::Node read_node(const json& node) {
  compat::Node out{.name = kube::key_of(node).name};
  const auto take = [&](const char* pointer, std::map<std::string, std::string>& to) {
    const json& found = kube::value_at(node, pointer);
    if (!found.is_object()) return;
    for (const auto& [key, value] : found.items()) {
      if (value.is_string()) to.emplace(key, value.get<std::string>());
    }
  };
  take("/metadata/labels", out.labels);
  take("/status/allocatable", out.allocatable);
  return out;
}

namespace {

/// Its spec counts as well as its status: a Job may just be about to find there what it would fetch.
void add_places(const json& object, const std::string& claim, std::set<std::string>& out) {
  const json& rows = kube::value_at(object, "/status/sources");
  for (const json& row : rows.is_array() ? rows : json::array()) out.insert(kube::text_at(row, "/place"));
  if (claim.empty()) return;  // one of its own, which nobody else can have been given yet
  try {
    const api::QuantizedModel model = api::parse_quantized_model(object, api::UnknownFields::kIgnore);
    for (const auto& each : rollout::sources::wanted(model.spec, nullptr)) {
      out.insert(rollout::sources::place(claim, each.source, each.revision));
    }
  } catch (const Error& error) {
    log::warn("a QuantizedModel cannot be read",
              {{"name", kube::key_of(object).text()}, {"error", error.what()}});
  }
}

/// One that does not come to its end holds nobody else up.
bool is_leaving(const json& model, api::Time now) {
  constexpr std::chrono::minutes kPatience{2};
  const auto since = api::parse_time(kube::text_at(model, "/metadata/deletionTimestamp"));
  return since && now - *since < kPatience;
}

}  // namespace

rollout::Elsewhere read_elsewhere(const std::string& name, const std::vector<kube::ObjectPtr>& others,
                                  api::Time now) {
  rollout::Elsewhere out;
  const auto add_digests = [&](const json& list) {
    if (!list.is_array()) return;
    for (const json& each : list) out.digests.insert(kube::text_at(each, "/digest"));
  };
  for (const kube::ObjectPtr& model : others) {
    add_digests(kube::value_at(*model, "/status/candidates"));
    add_digests(kube::value_at(*model, "/status/rollout/routes"));
    const std::string claim = kube::text_at(*model, "/spec/storage/claimName");
    if (kube::text_at(*model, "/status/phase") == "Quantizing") out.quantizes_on.insert(claim);
    if (kube::key_of(*model).name < name && is_leaving(*model, now)) out.leaving.insert(claim);
    add_places(*model, claim, out.places);
  }
  return out;
}

std::optional<kube::ObjectKey> model_of(std::string_view kind, const json& object) {
  kube::ObjectKey key = kube::key_of(object);
  if (kind == "QuantizedModel") return key;
  key.name = kube::label_of(object, rollout::children::kModelLabel);
  if (key.name.empty()) return std::nullopt;
  return key;
}

}  // namespace stepdown::controller
