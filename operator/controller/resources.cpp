#include "operator/controller/resources.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/kube/resources.h"
#include "operator/rollout/children/common.h"
#include "operator/rollout/sources.h"

namespace stepdown::controller {
namespace {

using nlohmann::json;

constexpr std::string_view kOurs = "app.kubernetes.io/managed-by=stepdown";
constexpr std::string_view kFailedMounts = "involvedObject.kind=Pod,reason=FailedMount";
constexpr std::string_view kOurJobPods = "app.kubernetes.io/managed-by=stepdown,app.kubernetes.io/name=job";

void drop_bookkeeping(json& object) {
  if (const auto metadata = object.find("metadata"); metadata != object.end() && metadata->is_object()) {
    metadata->erase("managedFields");
    if (const auto annotations = metadata->find("annotations");
        annotations != metadata->end() && annotations->is_object()) {
      annotations->erase("kubectl.kubernetes.io/last-applied-configuration");
    }
  }
}

void drop_spec(json& object) {
  drop_bookkeeping(object);
  object.erase("spec");
}

void drop_status(json& object) {
  drop_bookkeeping(object);
  object.erase("status");
}

void drop_spec_and_status(json& object) {
  drop_spec(object);
  object.erase("status");
}

/// Of a Job's pod only how its containers ended matters, or why they do not begin.
void keep_endings(json& pod) {
  drop_spec(pod);
  const auto status = pod.find("status");
  if (status == pod.end() || !status->is_object()) return;
  json kept = json::object();
  for (const char* field : {"phase", "conditions", "containerStatuses"}) {
    if (const auto found = status->find(field); found != status->end()) kept[field] = std::move(*found);
  }
  *status = std::move(kept);
}

/// Of an Event: whom it is about, and what it says.
void keep_note(json& event) {
  drop_bookkeeping(event);
  json kept = json::object();
  for (const char* field : {"apiVersion", "kind", "metadata", "involvedObject", "message", "lastTimestamp"}) {
    if (const auto found = event.find(field); found != event.end()) kept[field] = std::move(*found);
  }
  event = std::move(kept);
}

/// Of a node: what it has and what it is called by.
void keep_hardware(json& node) {
  drop_spec(node);
  const auto status = node.find("status");
  if (status == node.end() || !status->is_object()) return;
  json kept = json::object();
  if (const auto found = status->find("allocatable"); found != status->end())
    kept["allocatable"] = std::move(*found);
  *status = std::move(kept);
  if (const auto metadata = node.find("metadata"); metadata != node.end() && metadata->is_object())
    metadata->erase("annotations");
}

/// Of sources, that serving this QuantRevision may take.
std::vector<std::string> copies_for(const json& revision) {
  api::QuantRevisionSpec spec;
  spec.base.uri = kube::text_at(revision, "/spec/base/uri");
  spec.base.digest = kube::text_at(revision, "/spec/base/digest");
  spec.artifact.uri = kube::text_at(revision, "/spec/artifact/uri");
  spec.artifact.digest = kube::text_at(revision, "/spec/artifact/digest");
  return rollout::sources::folders_of(spec);
}

const std::vector<WatchedKind>& table() {
  namespace builtin = kube::resources;
  static const std::vector<WatchedKind> kTable = {
      {"QuantizedModel", kQuantizedModels, "", "", drop_bookkeeping, false},
      {"EngineProfile", kEngineProfiles, "", "", drop_bookkeeping, false, true},
      {"Node", builtin::kNodes, "", "", keep_hardware, false, true},
      {"Pod", builtin::kPods, kOurJobPods, "", keep_endings, false},
      {"Event", kube::GroupVersionResource{"", "v1", "events"}, "", kFailedMounts, keep_note, false},
      {"QuantRevision", kQuantRevisions, "", "", drop_bookkeeping, true},
      {"Job", builtin::kJobs, kOurs, "", drop_spec, true},
      {"Deployment", builtin::kDeployments, kOurs, "", drop_bookkeeping, true},
      {"LeaderWorkerSet", kLeaderWorkerSets, kOurs, "", drop_bookkeeping, true},
      {"Service", builtin::kServices, kOurs, "", drop_status, true},
      {"ServiceAccount", builtin::kServiceAccounts, kOurs, "", drop_bookkeeping, true},
      {"Role", builtin::kRoles, kOurs, "", drop_bookkeeping, true},
      {"RoleBinding", builtin::kRoleBindings, kOurs, "", drop_bookkeeping, true},
      {"PodDisruptionBudget", builtin::kPodDisruptionBudgets, kOurs, "", drop_status, true},
      {"PersistentVolumeClaim", builtin::kPersistentVolumeClaims, kOurs, "", drop_spec_and_status, true},
  };
  return kTable;
}

}  // namespace

std::span<const WatchedKind> watched_kinds() {
  return table();
}

const WatchedKind& watched_kind(std::string_view kind) {
  const auto found = std::ranges::find(table(), kind, &WatchedKind::kind);
  if (found == table().end()) throw Error("kind " + std::string(kind) + " is not watched", "controller");
  return *found;
}

std::string index::of_model(const kube::ObjectKey& model) {
  return "model " + model.text();
}
std::string index::of_artifact(const std::string& ns, const std::string& digest_or_uri) {
  return "artifact " + ns + " " + digest_or_uri;
}
std::string index::of_namespace(const std::string& ns) {
  return "namespace " + ns;
}

std::string index::of_pod(const kube::ObjectKey& pod) {
  return "pod " + pod.text();
}

std::string index::of_named(std::string_view kind, const kube::ObjectKey& named) {
  return std::string(kind) + " " + named.text();
}

kube::ObjectKey subject_of(const json& event) {
  return {kube::text_at(event, "/involvedObject/namespace"), kube::text_at(event, "/involvedObject/name")};
}

bool judged_by_nodes(const json& model) {
  const std::string engine = kube::text_at(model, "/spec/serving/engine");
  return kube::value_at(model, "/spec/serving/hardware").is_object() ||
         (!engine.empty() && engine != "stepdown");
}

std::vector<std::string> index::words(std::string_view kind, const json& object) {
  const kube::ObjectKey key = kube::key_of(object);
  if (kind == "QuantizedModel") {
    std::vector<std::string> out = {
        of_namespace(key.ns),
        of_named("QuantRevision", {key.ns, kube::text_at(object, "/spec/quantization/fromRevision")}),
        of_named("EngineProfile", {"", kube::text_at(object, "/spec/serving/engine")})};
    if (judged_by_nodes(object)) out.emplace_back(kJudgedByNodes);
    return out;
  }
  if (kind == "Event") return {of_pod(subject_of(object))};
  std::vector<std::string> out;
  if (std::string model = kube::label_of(object, rollout::children::kModelLabel); !model.empty()) {
    out.push_back(of_model({key.ns, std::move(model)}));
  }
  if (kind == "QuantRevision") {
    for (const char* pointer : {"/spec/artifact/digest", "/spec/artifact/uri", "/spec/evaluation/report"}) {
      if (const std::string text = kube::text_at(object, pointer); !text.empty()) {
        out.push_back(of_artifact(key.ns, text));
      }
    }
    for (const std::string& folder : copies_for(object)) out.push_back(of_artifact(key.ns, folder));
  }
  return out;
}

}  // namespace stepdown::controller
