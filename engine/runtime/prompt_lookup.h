#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace stepdown::runtime {

/// What may follow, guessed from what followed the last time the text ended like this (prompt lookup
/// decoding, Saxena 2023): up to `most` tokens behind the latest earlier occurrence of the last three tokens,
/// else of the last two. Empty when they never occurred.
std::vector<tokenizer::TokenId> prompt_lookup(std::span<const tokenizer::TokenId> tokens, std::size_t most);

}  // namespace stepdown::runtime
