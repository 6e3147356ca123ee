#pragma once

#include <cstddef>
#include <string>

#include "engine/runtime/engine.h"

namespace stepdown::server {

/// Throws the ApiError (400) of a request that asks by `param` for more sequences than ever find room.
void check_count(std::size_t sequences, const runtime::Engine& engine, const std::string& param);
/// Throws the ApiError that tells why the engine did not take a request; `param` holds what may be too long.
[[noreturn]] void refuse(runtime::Engine::Refusal refusal, const runtime::Engine& engine,
                         const std::string& param);
/// The same of one that was taken and ended too soon.
[[noreturn]] void refuse(runtime::FinishReason reason);

}  // namespace stepdown::server
