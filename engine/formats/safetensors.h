#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "engine/base/tensor.h"

namespace stepdown::formats {

/// Reads a safetensors file (huggingface/safetensors, README "Format"): u64 header length, JSON header, data.
/// Checks that every tensor has the bytes its shape asks for and that together they fill the file exactly.
/// `file` names the bytes in errors. Throws InputError.
std::vector<TensorView> parse_safetensors(std::span<const std::byte> bytes, const std::string& file);

}  // namespace stepdown::formats
