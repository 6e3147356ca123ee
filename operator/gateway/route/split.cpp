#include "operator/gateway/route/split.h"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "engine/base/hash.h"

namespace stepdown::gateway {

std::string_view name(Arm arm) {
  switch (arm) {
    case Arm::kCandidate:
      return "candidate";
    case Arm::kStable:
      return "stable";
    case Arm::kFp16:
      return "fp16";
  }
  return "fp16";
}

double Split::of(Arm arm) const {
  return arm == Arm::kCandidate ? candidate : arm == Arm::kStable ? stable : fp16;
}

const std::string& Split::digest(Arm arm) const {
  return arm == Arm::kCandidate ? candidate_digest : arm == Arm::kStable ? stable_digest : fp16_digest;
}

double Split::against_control(Arm arm) const {
  if (arm == Arm::kFp16 || of(arm) <= 0) return 0;
  return of(arm) / (of(arm) + fp16);
}

Split split_traffic(const Rollout& rollout, const std::function<bool(const std::string&)>& usable) {
  Split split;
  split.fp16_digest = rollout.fp16();
  split.candidate_digest = rollout.candidate;
  const bool quantized_stable = !rollout.stable.empty() && rollout.stable != split.fp16_digest;
  if (quantized_stable) split.stable_digest = rollout.stable;

  const double most = quantized_stable ? 1 - rollout.control : 1;
  const double candidate = rollout.candidate.empty() ? 0 : std::min(rollout.weight, most);
  const bool candidate_usable =
      candidate > 0 && rollout.candidate != split.fp16_digest && usable(rollout.candidate);
  const bool stable_usable = quantized_stable && usable(rollout.stable);
  split.candidate = candidate_usable ? candidate : 0;
  split.stable = stable_usable ? most - candidate : 0;
  split.fp16 = 1 - split.candidate - split.stable;
  if (stable_usable && !usable(split.fp16_digest)) {
    split.stable += split.fp16;
    split.fp16 = 0;
  }
  return split;
}

double routing_point(std::string_view salt, std::string_view id) {
  Sha256 hash;
  hash.update(salt).update(std::string_view("\0", 1)).update(id);
  const std::string hex = hash.hex();
  std::uint64_t bits = 0;
  std::from_chars(hex.data(), hex.data() + 13, bits, 16);  // 52 bits: exact in a double
  return static_cast<double>(bits) / static_cast<double>(1ULL << 52U);
}

Arm choose(const Split& split, double point) {
  if (point < split.candidate) return Arm::kCandidate;
  if (split.fp16 > 0 && point >= 1 - split.fp16) return Arm::kFp16;
  return split.stable > 0 ? Arm::kStable : Arm::kFp16;
}

}  // namespace stepdown::gateway
