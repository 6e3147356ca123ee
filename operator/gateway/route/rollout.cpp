#include "operator/gateway/route/rollout.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

using nlohmann::json;

std::string text_at(const json& value, const char* name) {
  const auto found = value.find(name);
  return found != value.end() && found->is_string() ? found->get<std::string>() : std::string();
}

double number_at(const json& object, const char* pointer, double otherwise) {
  const json::json_pointer path(pointer);
  return object.contains(path) && object.at(path).is_number() ? object.at(path).get<double>() : otherwise;
}

const json& list_at(const json& object, const char* pointer) {
  static const json kNone = json::array();
  const json::json_pointer path(pointer);
  return object.contains(path) && object.at(path).is_array() ? object.at(path) : kNone;
}

double share(double percent) {
  return std::clamp(percent / 100, 0.0, 1.0);
}

}  // namespace

const Backend* Rollout::backend(std::string_view digest) const {
  const auto found =
      std::find_if(backends.begin(), backends.end(), [&](const Backend& b) { return b.digest == digest; });
  return found == backends.end() ? nullptr : &*found;
}

std::string Rollout::fp16() const {
  const auto found =
      std::find_if(backends.begin(), backends.end(), [](const Backend& b) { return b.role == "fp16"; });
  return found == backends.end() ? std::string() : found->digest;
}

Rollout read_rollout(const json& model) {
  Rollout rollout;
  const json::json_pointer at("/status/rollout");
  if (model.contains(at) && model.at(at).is_object()) {
    const json& told = model.at(at);
    rollout.candidate = text_at(told, "digest");
    rollout.salt = text_at(told, "salt");
    rollout.stable = text_at(told, "stable");
    rollout.weight = share(number_at(told, "/weight", 0));
    rollout.control = share(number_at(told, "/controlPercent", 0));
    rollout.epoch = static_cast<std::uint64_t>(std::max(0.0, number_at(told, "/epoch", 0)));
    rollout.retried_epoch = static_cast<std::uint64_t>(std::max(0.0, number_at(told, "/retriedEpoch", 0)));
  }
  for (const json& route : list_at(model, "/status/rollout/routes")) {
    if (!route.is_object()) continue;
    rollout.backends.push_back({text_at(route, "digest"), text_at(route, "service"), text_at(route, "role")});
  }
  for (const json& entry : list_at(model, "/status/blocked")) {
    if (entry.is_object()) rollout.blocked.insert(text_at(entry, "digest"));
  }
  const Limits defaults;
  rollout.limits.alpha = number_at(model, "/spec/rollout/rollback/alpha", defaults.alpha);
  rollout.limits.ratio = number_at(model, "/spec/rollout/rollback/ratio", defaults.ratio);
  rollout.limits.max_error_rate =
      number_at(model, "/spec/rollout/rollback/maxErrorRate", defaults.max_error_rate);
  rollout.limits.latency_p99_ratio =
      number_at(model, "/spec/rollout/rollback/latencyP99Ratio", defaults.latency_p99_ratio);
  rollout.limits.max_disagreement =
      number_at(model, "/spec/rollout/shadow/maxDisagreement", defaults.max_disagreement);
  rollout.min_answers =
      static_cast<std::uint64_t>(std::max(0.0, number_at(model, "/spec/rollout/minAnswers", 20)));
  rollout.shadow = share(number_at(model, "/spec/rollout/shadow/percent", 0));
  rollout.min_confidence = number_at(model, "/spec/rollout/escalation/minConfidence", 0);
  return rollout;
}

}  // namespace stepdown::gateway
