#include "operator/controller/cache.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "operator/controller/resources.h"
#include "operator/rollout/children/common.h"

namespace stepdown::controller {

Cache::Cache(const kube::Client& client, const Scope& scope,
             std::function<void(const kube::ObjectKey&, bool)> on_change)
    : on_change_(std::move(on_change)) {
  for (const WatchedKind& watched : watched_kinds()) {
    if (watched.kind == "EngineProfile" && !scope.engine_profiles) continue;
    kube::Informer::Options options{.list = {}, .trim = watched.trim};
    options.list.ns = watched.kind == "EngineProfile" ? "" : scope.ns;
    options.list.label_selector = watched.label_selector;
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
  if (const auto key = model_of(kind, *object)) on_change_(*key, change.initial);
  // Models that name this object, though it is not theirs.
  if (change.initial || (kind != "QuantRevision" && kind != "EngineProfile")) return;
  const char* pointer = kind == "QuantRevision" ? "/spec/quantization/fromRevision" : "/spec/serving/engine";
  const kube::ObjectKey named = kube::key_of(*object);
  for (const kube::ObjectPtr& model : informer("QuantizedModel").list()) {
    const kube::ObjectKey key = kube::key_of(*model);
    if (kube::text_at(*model, pointer) == named.name && (named.ns.empty() || named.ns == key.ns)) {
      on_change_(key, false);
    }
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

kube::ObjectPtr Cache::get(std::string_view kind, const kube::ObjectKey& key) const {
  return informer(kind).get(key);
}

ObjectsByKind Cache::around(const kube::ObjectKey& model) const {
  ObjectsByKind out;
  for (const auto& [kind, informer] : informers_) {
    if (kind == "QuantizedModel" || kind == "EngineProfile") continue;
    const bool revisions = kind == "QuantRevision";
    out[kind] = informer->find([&](const nlohmann::json& object) {
      if (kube::key_of(object).ns != model.ns) return false;
      return revisions || kube::label_of(object, rollout::children::kModelLabel) == model.name;
    });
  }
  return out;
}

}  // namespace stepdown::controller
