#pragma once

#include <chrono>
#include <filesystem>
#include <span>

#include <nlohmann/json.hpp>

#include "engine/quant/kept_state.h"

namespace stepdown::quant {

/// A state (kept_state.h) that is kept as often as takes a twentieth of a run's time at most.
class PacedState {
 public:
  /// `file` empty: nothing is kept.
  explicit PacedState(std::filesystem::path file);

  nlohmann::json take_up(const Places& places) const;
  bool due() const;
  void keep(const nlohmann::json& head, std::span<const std::span<const float>> numbers);

 private:
  using Clock = std::chrono::steady_clock;
  std::filesystem::path file_;
  Clock::time_point began_ = Clock::now();
  Clock::duration saving_{};
};

}  // namespace stepdown::quant
