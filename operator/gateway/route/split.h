#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "operator/gateway/route/rollout.h"

namespace stepdown::gateway {

enum class Arm { kCandidate, kStable, kFp16 };
/// As in the header x-stepdown-route.
std::string_view name(Arm arm);

/// The shares of traffic in force now. They add to 1 unless nothing can serve.
struct Split {
  double candidate = 0;
  double stable = 0;  ///< of a quantized stable revision; 0 while FP16 is stable
  double fp16 = 0;
  std::string candidate_digest;
  std::string stable_digest;
  std::string fp16_digest;

  double of(Arm arm) const;
  const std::string& digest(Arm arm) const;
  /// A quantized arm's share of itself and the FP16 control: the w of the arm test. 0 where the arm gets
  /// nothing.
  double against_control(Arm arm) const;
};

/// What the operator allows, or less: a quantized digest for which `usable` is false (tripped, blocked, no
/// engine ready) leaves its share to FP16, and FP16 without an engine leaves its own to a usable stable
/// revision.
Split split_traffic(const Rollout& rollout, const std::function<bool(const std::string& digest)>& usable);

/// A point in [0, 1) by which a request is routed: SHA-256 of the salt and the request's or session's id,
/// never its content. A growing weight keeps who was with the candidate there.
double routing_point(std::string_view salt, std::string_view id);

Arm choose(const Split& split, double point);

}  // namespace stepdown::gateway
