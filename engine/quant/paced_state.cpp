#include "engine/quant/paced_state.h"

#include <utility>

namespace stepdown::quant {
namespace {

constexpr int kSavingShare = 20;  // keeping the state takes one part of so many at most

}  // namespace

PacedState::PacedState(std::filesystem::path file) : file_(std::move(file)) {}

nlohmann::json PacedState::take_up(const Places& places) const {
  return file_.empty() ? nlohmann::json() : take_up_state(file_, places);
}

bool PacedState::due() const {
  return kSavingShare * saving_ <= Clock::now() - began_;
}

void PacedState::keep(const nlohmann::json& head, std::span<const std::span<const float>> numbers) {
  if (file_.empty()) return;
  const auto began = Clock::now();
  if (!keep_state(file_, head, numbers)) file_.clear();  // nor would the next find room
  saving_ += Clock::now() - began;
}

}  // namespace stepdown::quant
