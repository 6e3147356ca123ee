#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown::tokenizer::jinja {

struct Place {
  std::size_t line = 1;
  std::size_t column = 1;
};

enum class TokenKind {
  kData,
  kBlockBegin,
  kBlockEnd,
  kPrintBegin,
  kPrintEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  ///< string literals with escapes resolved
  Place place;
};

/// Cuts a template into tokens, whitespace control applied as transformers sets it: trim_blocks and
/// lstrip_blocks on, one trailing newline dropped. Throws InputError with line and column.
std::vector<Token> lex(std::string_view source);

/// Throws InputError whose place is "chat template:LINE:COLUMN".
[[noreturn]] void fail(const Place& place, const std::string& what);

}  // namespace stepdown::tokenizer::jinja
