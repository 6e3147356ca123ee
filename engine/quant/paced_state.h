#pragma once

#include <chrono>
#include <filesystem>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

#include "engine/quant/kept_state.h"

namespace stepdown::quant {

/// A state (kept_state.h) that is kept as often as takes a twentieth of a run's time at most. The work itself
/// needs none of that room: where there is none it goes on without, and says so.
class PacedState {
 public:
  /// `file` empty: nothing is kept. `what` a run that is killed begins anew without it.
  PacedState(std::filesystem::path file, std::string what);

  nlohmann::json take_up(const Places& places) const;
  bool due() const;
  void keep(const nlohmann::json& head, std::span<const std::span<const float>> numbers);

 private:
  using Clock = std::chrono::steady_clock;
  std::filesystem::path file_;
  std::string what_;
  Clock::time_point began_ = Clock::now();
  Clock::duration saving_{};
};

}  // namespace stepdown::quant
