#include "operator/controller/cache.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "operator/controller/resources.h"
#include "operator/rollout/sources.h"

namespace stepdown::controller {
namespace {

/// Objects of a list's page: all kinds are listed at once, and a page's text is what a cold start peaks with.
constexpr int kPage = 100;

/// Digests and places of artifacts, reports and copies of sources that a model's status speaks about.
std::vector<std::string> revisions_named(const api::QuantizedModel& model) {
  const api::QuantizedModelStatus& status = model.status;
  std::vector<std::string> out = status.leftovers;
  const auto hold_copy = [&](const std::string& uri) {
    if (std::string folder = rollout::sources::folder(uri); !folder.empty()) out.push_back(std::move(folder));
  };
  for (const std::string& uri : status.leftovers) hold_copy(uri);
  for (const api::SourceStatus& row : status.sources) hold_copy(row.place);
  const auto hold = [&](const api::CandidateStatus& row) {
    for (const std::string& text : {row.digest, row.uri, row.report}) {
      if (!text.empty()) out.push_back(text);
    }
  };
  if (status.baseline) hold(*status.baseline);
  for (const api::CandidateStatus& row : status.candidates) hold(row);
  for (const api::Blocked& each : status.blocked) out.push_back(each.digest);
  if (status.rollout) {
    for (const api::Route& route : status.rollout->routes) out.push_back(route.digest);
  }
  return out;
}

/// A heartbeat, rather than a change of what the rules look at.
bool same_hardware(const kube::ObjectPtr& before, const kube::ObjectPtr& after) {
  return before && after && read_node(*before) == read_node(*after);
}

}  // namespace

Cache::Cache(const kube::Client& client, const Scope& scope,
             std::function<void(const kube::ObjectKey&, bool)> on_change)
    : on_change_(std::move(on_change)) {
  for (const WatchedKind& watched : watched_kinds()) {
    if (watched.kind == "EngineProfile" && !scope.engine_profiles) continue;
    if (watched.kind == "Node" && !scope.nodes) continue;
    if (watched.kind == "LeaderWorkerSet" && !scope.leader_worker_sets) continue;
    kube::Informer::Options options{.list = {}, .trim = watched.trim};
    options.list.ns = watched.of_cluster ? "" : scope.ns;
    options.list.label_selector = watched.label_selector;
    options.list.limit = kPage;
    options.list.field_selector = watched.field_selector;
    options.index = [kind = watched.kind](const nlohmann::json& object) {
      return index::words(kind, object);
    };
    auto informer = std::make_unique<kube::Informer>(client, watched.gvr, std::move(options));
    informer->on_change(
        [this, kind = watched.kind](const kube::Informer::Change& change) { this->on_change(kind, change); });
    informers_.emplace(watched.kind, std::move(informer));
  }
}

Cache::~Cache() {
  for (auto& [kind, informer] : informers_) informer->stop();
}

void Cache::start() {
  for (auto& [kind, informer] : informers_) informer->start();
}

bool Cache::synced() const {
  return std::ranges::all_of(informers_, [](const auto& entry) { return entry.second->synced(); });
}

std::string Cache::trouble() const {
  for (const auto& [kind, informer] : informers_) {
    if (std::string found = informer->trouble(); !found.empty()) return kind + ": " + found;
  }
  return "";
}

void Cache::on_change(std::string_view kind, const kube::Informer::Change& change) {
  const kube::ObjectPtr& object = change.after ? change.after : change.before;
  if (!object) return;
  if (kind == "Event") {
    const kube::ObjectPtr pod = informer("Pod").get(subject_of(*object));
    if (const auto key = pod ? model_of("Pod", *pod) : std::nullopt) on_change_(*key, change.initial);
    return;
  }
  if (kind == "Node") {
    if (!change.initial && same_hardware(change.before, change.after)) return;
    for (const kube::ObjectPtr& model : informer("QuantizedModel").indexed(index::kJudgedByNodes)) {
      on_change_(kube::key_of(*model), change.initial);
    }
    return;
  }
  if (const auto key = model_of(kind, *object); key && !change.known) on_change_(*key, change.initial);
  if (change.initial || (kind != "QuantRevision" && kind != "EngineProfile")) return;
  // Models that name this object, though it is not theirs.
  for (const kube::ObjectPtr& model :
       informer("QuantizedModel").indexed(index::of_named(kind, kube::key_of(*object)))) {
    on_change_(kube::key_of(*model), false);
  }
}

const kube::Informer& Cache::informer(std::string_view kind) const {
  return *informers_.find(kind)->second;
}

kube::ObjectPtr Cache::model(const kube::ObjectKey& key) const {
  return informer("QuantizedModel").get(key);
}

kube::ObjectPtr Cache::profile(const std::string& name) const {
  const auto profiles = informers_.find("EngineProfile");
  return profiles == informers_.end() ? nullptr : profiles->second->get({"", name});
}

std::optional<std::vector<compat::Node>> Cache::nodes() const {
  const auto nodes = informers_.find("Node");
  if (nodes == informers_.end()) return std::nullopt;
  std::vector<compat::Node> out;
  for (const kube::ObjectPtr& node : nodes->second->list()) out.push_back(read_node(*node));
  return out;
}

kube::ObjectPtr Cache::get(std::string_view kind, const kube::ObjectKey& key) const {
  return informer(kind).get(key);
}

bool Cache::learn(std::string_view kind, nlohmann::json object) {
  return informers_.find(kind)->second->learn(std::move(object));
}

ObjectsByKind Cache::around(const api::QuantizedModel& model) const {
  const kube::ObjectKey key{model.metadata.ns, model.metadata.name};
  ObjectsByKind out;
  for (const auto& [kind, informer] : informers_) {
    if (kind == "QuantizedModel" || watched_kind(kind).of_cluster) continue;
    out[kind] = informer->indexed(index::of_model(key));
  }
  for (const kube::ObjectPtr& pod : out["Pod"]) {
    for (kube::ObjectPtr& event : informer("Event").indexed(index::of_pod(kube::key_of(*pod)))) {
      out["Event"].push_back(std::move(event));
    }
  }
  std::vector<kube::ObjectPtr>& revisions = out["QuantRevision"];
  const auto add = [&](const kube::ObjectPtr& revision) {
    // Each look gives a copy of its own, so the same object is known by its name.
    const auto same = [&](const kube::ObjectPtr& known) {
      return kube::key_of(*known) == kube::key_of(*revision);
    };
    if (revision && std::ranges::none_of(revisions, same)) revisions.push_back(revision);
  };
  for (const std::string& name : revisions_named(model)) {
    const kube::Informer& all = informer("QuantRevision");
    for (const kube::ObjectPtr& found : all.indexed(index::of_artifact(key.ns, name))) add(found);
  }
  add(get("QuantRevision", {key.ns, model.spec.quantization.from_revision}));
  return out;
}

std::vector<kube::ObjectPtr> Cache::neighbours(const kube::ObjectKey& model) const {
  std::vector<kube::ObjectPtr> out = informer("QuantizedModel").indexed(index::of_namespace(model.ns));
  std::erase_if(out, [&](const kube::ObjectPtr& other) { return kube::key_of(*other).name == model.name; });
  return out;
}

}  // namespace stepdown::controller
