#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace stepdown::local::api::cel {

enum class TokenKind { kEnd, kIdentifier, kLiteral, kMark };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;        ///< identifier or mark
  nlohmann::json literal;  ///< int64, uint64, double or string
  std::size_t at = 0;
};

/// CEL's tokens. Throws SyntaxError (program.h).
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}
  Token next();

 private:
  Token number();
  Token string(bool raw);
  void escape(std::string& out);
  [[noreturn]] void fail(const std::string& why) const;

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace stepdown::local::api::cel
