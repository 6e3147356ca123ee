#include "operator/local/node/control_loop.h"

#include <nlohmann/json.hpp>

#include "engine/base/log.h"

namespace stepdown::local {

using kube::ObjectKey;
using nlohmann::json;

namespace {

kube::WorkQueue::Options queue_options() {
  kube::WorkQueue::Options options;
  options.longest_delay = std::chrono::seconds(5);  // one machine: nobody else to spare
  return options;
}

ObjectKey owner_key(const json& object, const std::string& kind) {
  for (const json& reference : kube::value_at(object, "/metadata/ownerReferences")) {
    if (kube::value_at(reference, "/controller") != true || kube::text_at(reference, "/kind") != kind)
      continue;
    return {kube::key_of(object).ns, kube::text_at(reference, "/name")};
  }
  return {};
}

}  // namespace

ControlLoop::ControlLoop(std::string name, Reconcile reconcile)
    : name_(std::move(name)), reconcile_(std::move(reconcile)), queue_(queue_options()) {}

ControlLoop::~ControlLoop() {
  stop();
}

void ControlLoop::watch(kube::Informer& informer, std::function<ObjectKey(const json&)> key_of_object) {
  informer.on_change([this, key_of_object = std::move(key_of_object)](const kube::Informer::Change& change) {
    const ObjectKey key = key_of_object(change.after ? *change.after : *change.before);
    if (!key.name.empty()) queue_.add(key);
  });
}

void ControlLoop::watch(kube::Informer& informer) {
  watch(informer, [](const json& object) { return kube::key_of(object); });
}

void ControlLoop::watch_owned(kube::Informer& informer, std::string kind) {
  watch(informer, [kind = std::move(kind)](const json& object) { return owner_key(object, kind); });
}

void ControlLoop::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

void ControlLoop::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void ControlLoop::work(const std::stop_token& stop) {
  while (const auto key = queue_.pop(stop)) {
    try {
      const auto again = reconcile_(*key);
      queue_.forget(*key);
      queue_.done(*key);
      if (again) queue_.add_after(*key, *again);
    } catch (const std::exception& error) {
      log::warn(name_ + " will try again", {{"object", key->text()}, {"error", error.what()}});
      queue_.retry(*key);
      queue_.done(*key);
    }
  }
}

}  // namespace stepdown::local
