#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/verdict/tests.h"

namespace stepdown::gateway {

/// One engine of status.rollout.routes.
struct Backend {
  std::string digest;
  std::string service;  ///< its headless Service
  std::string role;     ///< fp16, stable or candidate
  bool operator==(const Backend&) const = default;
};

/// What the operator says about traffic, and the spec's limits: all the gateway reads of its QuantizedModel.
struct Rollout {
  std::string candidate;  ///< digest under rollout; empty: none
  double weight = 0;      ///< share of traffic it may get, in [0, 1]
  std::uint64_t epoch = 0;
  std::uint64_t retried_epoch = 0;  ///< the epoch that the last command `retry` began
  std::string salt;
  std::string stable;  ///< digest that gets the rest
  double control = 0;  ///< FP16's random share once `stable` is quantized, in [0, 1]
  std::vector<Backend> backends;
  std::set<std::string> blocked;  ///< digests that tripped once

  Limits limits;
  double shadow = 0;               ///< share of the candidate's answers compared with FP16's, in [0, 1]
  std::uint64_t min_answers = 20;  ///< of the candidate at a step, for the operator to leave it
  double min_confidence = 0;       ///< answers under it are given by FP16; 0: never

  bool operator==(const Rollout&) const = default;
  const Backend* backend(std::string_view digest) const;
  /// The base model's digest; empty while it has no engine.
  std::string fp16() const;
};

/// Reads a QuantizedModel. What is absent or of another type keeps its default.
Rollout read_rollout(const nlohmann::json& quantized_model);

}  // namespace stepdown::gateway
