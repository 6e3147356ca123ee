#include "operator/local/api/cel/lexer.h"

#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "operator/local/api/cel/program.h"

namespace stepdown::local::api::cel {
namespace {

bool starts_identifier(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

}  // namespace

void Lexer::fail(const std::string& why) const {
  throw SyntaxError("Syntax error at " + std::to_string(at_) + ": " + why);
}

Token Lexer::next() {
  while (at_ < text_.size()) {
    if (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r') {
      ++at_;
    } else if (text_.substr(at_).starts_with("//")) {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else {
      break;
    }
  }
  Token token;
  token.at = at_;
  if (at_ >= text_.size()) return token;
  const char c = text_[at_];
  const char after = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
  if ((c == 'r' || c == 'R') && (after == '"' || after == '\'')) {
    ++at_;
    return string(true);
  }
  if ((c == 'b' || c == 'B') && (after == '"' || after == '\'')) fail("bytes literals are not supported");
  if (c == '"' || c == '\'') return string(false);
  if (is_digit(c) || (c == '.' && is_digit(after))) return number();
  if (starts_identifier(c)) {
    const std::size_t start = at_;
    while (at_ < text_.size() && (starts_identifier(text_[at_]) || is_digit(text_[at_]))) ++at_;
    token.kind = TokenKind::kIdentifier;
    token.text = text_.substr(start, at_ - start);
    return token;
  }
  token.kind = TokenKind::kMark;
  for (const std::string_view mark : {"&&", "||", "==", "!=", "<=", ">="}) {
    if (text_.substr(at_).starts_with(mark)) {
      token.text = mark;
      at_ += 2;
      return token;
    }
  }
  if (std::string_view("+-*/%!<>()[]{}.,:?").find(c) == std::string_view::npos) {
    fail(std::string("unexpected character '") + c + "'");
  }
  token.text = std::string(1, c);
  ++at_;
  return token;
}

Token Lexer::number() {
  Token token;
  token.kind = TokenKind::kLiteral;
  token.at = at_;
  const std::size_t start = at_;
  const bool hex = text_.substr(at_).starts_with("0x") || text_.substr(at_).starts_with("0X");
  bool real = false;
  if (hex) {
    at_ += 2;
    while (at_ < text_.size() && std::isxdigit(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  } else {
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    if (at_ + 1 < text_.size() && text_[at_] == '.' && is_digit(text_[at_ + 1])) {
      real = true;
      ++at_;
      while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      real = true;
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    }
  }
  const std::string digits(text_.substr(start, at_ - start));
  errno = 0;
  if (real) {
    token.literal = std::strtod(digits.c_str(), nullptr);
    return token;
  }
  const unsigned long long value = std::strtoull(digits.c_str(), nullptr, hex ? 16 : 10);
  if (errno != 0) fail("integer out of range");
  if (at_ < text_.size() && (text_[at_] == 'u' || text_[at_] == 'U')) {
    ++at_;
    token.literal = static_cast<std::uint64_t>(value);
    return token;
  }
  if (value > static_cast<unsigned long long>(INT64_MAX)) fail("integer out of range");
  token.literal = static_cast<std::int64_t>(value);
  return token;
}

void Lexer::escape(std::string& out) {
  if (at_ >= text_.size()) fail("unterminated string");
  const char c = text_[at_++];
  const auto hex = [&](int digits) {
    std::uint32_t code = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      if (at_ >= text_.size() || std::isxdigit(static_cast<unsigned char>(text_[at_])) == 0)
        fail("invalid escape");
      const char d = text_[at_];
      code = code * 16 + static_cast<std::uint32_t>(is_digit(d) ? d - '0' : (d | 0x20) - 'a' + 10);
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) fail("invalid code point");
    append_utf8(out, code);
  };
  switch (c) {
    case 'n':
      out += '\n';
      return;
    case 't':
      out += '\t';
      return;
    case 'r':
      out += '\r';
      return;
    case 'a':
      out += '\a';
      return;
    case 'b':
      out += '\b';
      return;
    case 'f':
      out += '\f';
      return;
    case 'v':
      out += '\v';
      return;
    case '\\':
    case '\'':
    case '"':
    case '`':
    case '?':
      out += c;
      return;
    case 'x':
    case 'X':
      return hex(2);
    case 'u':
      return hex(4);
    case 'U':
      return hex(8);
    default:
      fail("invalid escape");
  }
}

Token Lexer::string(bool raw) {
  Token token;
  token.kind = TokenKind::kLiteral;
  token.at = at_;
  const char quote = text_[at_];
  const std::string triple(3, quote);
  const bool is_triple = text_.substr(at_).starts_with(triple);
  at_ += is_triple ? 3 : 1;
  std::string out;
  while (true) {
    if (at_ >= text_.size()) fail("unterminated string");
    if (is_triple ? text_.substr(at_).starts_with(triple) : text_[at_] == quote) break;
    if (!is_triple && text_[at_] == '\n') fail("unterminated string");
    if (text_[at_] == '\\' && !raw) {
      ++at_;
      escape(out);
    } else {
      out += text_[at_++];
    }
  }
  at_ += is_triple ? 3 : 1;
  token.literal = std::move(out);
  return token;
}

}  // namespace stepdown::local::api::cel
