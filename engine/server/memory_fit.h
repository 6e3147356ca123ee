#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "engine/formats/model_file.h"
#include "engine/runtime/engine.h"

namespace stepdown::server {

/// What this process may use: the least of its control groups' limits (v2 and v1) and the machine's memory,
/// bytes. `root`: where /proc and /sys are. nullopt: none is known.
std::optional<std::int64_t> memory_limit(const std::filesystem::path& root = "/");

/// Everything that serving allocates is known before it begins: the cache for all sequences, weights, a
/// step's buffers. Throws InputError that names the cheapest change when that is beyond `limit`; a server
/// that starts is not killed under load. Architectures whose cache is not known pass. `draft` may be null.
void check_memory(const formats::ModelFile& model, const formats::ModelFile* draft,
                  const runtime::EngineOptions& options, std::int64_t limit);

}  // namespace stepdown::server
