#include "engine/quant/paced_state.h"

#include <utility>

#include "engine/base/error.h"
#include "engine/base/log.h"

namespace stepdown::quant {
namespace {

constexpr int kSavingShare = 20;  // keeping the state takes one part of so many at most

}  // namespace

PacedState::PacedState(std::filesystem::path file, std::string what)
    : file_(std::move(file)), what_(std::move(what)) {}

nlohmann::json PacedState::take_up(const Places& places) const {
  return file_.empty() ? nlohmann::json() : take_up_state(file_, places);
}

bool PacedState::due() const {
  return kSavingShare * saving_ <= Clock::now() - began_;
}

void PacedState::keep(const nlohmann::json& head, std::span<const std::span<const float>> numbers) {
  if (file_.empty()) return;
  const auto began = Clock::now();
  try {
    keep_state(file_, head, numbers);
  } catch (const Error& error) {
    log::warn(std::string(error.what()) + ": a run that is killed begins " + what_ + " anew");
    discard_state(file_);
    file_.clear();
  }
  saving_ += Clock::now() - began;
}

}  // namespace stepdown::quant
