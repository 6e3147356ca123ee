// What a peer, a state file or an API server tells.
#include <cmath>
#include <cstdint>

#include <nlohmann/json.hpp>

#include "operator/gateway/cluster/snapshot.h"
#include "operator/gateway/cluster/verdict_status.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown::gateway;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto value = nlohmann::json::parse(text, nullptr, false);
  const WallTime now(std::chrono::hours(1));
  Traffic traffic("self", [](const std::string&) { return Reachable::kYes; });
  Rollout rollout;
  rollout.candidate = "c";
  rollout.weight = 0.5;
  rollout.backends = {{"b", "fp16", "fp16"}, {"c", "c", "candidate"}};
  traffic.follow(rollout, now);
  traffic.hear(value, now);
  const Snapshot snapshot = read_snapshot(value, {value});
  traffic.remember(snapshot.trips);
  traffic.follow(snapshot.rollout, now);
  verdict_status(traffic, 1, now);
  const Split split = traffic.split();
  if (std::abs(split.candidate + split.stable + split.fp16 - 1) > 1e-9) __builtin_trap();
  return 0;
}
