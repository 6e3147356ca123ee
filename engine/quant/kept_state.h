#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include <nlohmann/json.hpp>

namespace stepdown::quant {

/// What a run leaves for the one after it, should it be killed: a head, and numbers behind it. Written
/// durably and under its final name at once, piece by piece: a copy of all in memory would raise the peak.
/// On a full disk nothing is kept, with a warning, and false told: the work itself needs none of that room.
/// Throws Error when it cannot be written for another reason.
bool keep_state(const std::filesystem::path& file, const nlohmann::json& head,
                std::span<const std::span<const float>> numbers);

/// Where the numbers belong that were kept with this head; `numbers`: how many there are.
using Places = std::function<std::vector<std::span<float>>(const nlohmann::json& head, std::size_t numbers)>;

/// Fills `places` with what keep_state() wrote and gives its head; null where there is no file, or, with a
/// warning, one that does not fit. Throws Error when the file cannot be read to its end.
nlohmann::json take_up_state(const std::filesystem::path& file, const Places& places);

/// Removes it, and one that was not written to its end.
void discard_state(const std::filesystem::path& file);

}  // namespace stepdown::quant
