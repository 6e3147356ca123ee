#pragma once

#include <cstdint>

namespace stepdown::model {

/// Rotates a head by a Hadamard matrix, in place; twice is as it was. What few dimensions carried is spread
/// over all of them, so that one scale serves a head's integer codes (QuaRot, Ashkboos et al. 2024), and dot
/// products of heads stay what they are. A width that is no power of two is rotated in blocks of the largest
/// that divides it.
void rotate_head(float* head, std::int64_t width);

}  // namespace stepdown::model
