#pragma once

#include <cstdint>
#include <optional>

#include "engine/formats/model_file.h"
#include "engine/memory/memory_model.h"
#include "engine/runtime/engine.h"

namespace stepdown::runtime {

/// What an engine takes on CPUs, by the model's header.
struct MemoryDemand {
  memory::Model model;
  memory::Load asked;  ///< context and sequences
  memory::Load cache;  ///< what the cache has room for

  memory::Estimate estimate(const memory::EngineTraits& engine) const {
    return memory::estimate(model, cache, engine);
  }
};

/// nullopt for architectures whose cache is not known.
std::optional<MemoryDemand> memory_demand(const formats::ModelFile& file, const EngineOptions& options);

/// The peak of a process that serves with these options, bytes, once its cache is full. `draft` may be null.
std::optional<std::int64_t> predicted_memory(const formats::ModelFile& file, const formats::ModelFile* draft,
                                             const EngineOptions& options);

}  // namespace stepdown::runtime
