#pragma once

#include <span>
#include <string_view>

#include "engine/schema/grammar_builder.h"

namespace stepdown::schema {

/// A mark that ends free text.
struct TextMark {
  std::string_view text;
  GrammarBuilder::State to;  ///< behind the mark; TextGrammar::kNowhere: it may not be written
};

/// Lets any text be read from `start` on until one of the marks is whole. No mark may hold another. `end` is
/// reached before every byte, as a rule's end is that may also come there; kNowhere: a mark must come.
void add_free_text(GrammarBuilder& builder, GrammarBuilder::State start, GrammarBuilder::State end,
                   std::span<const TextMark> marks);

}  // namespace stepdown::schema
