#include "engine/tokenizer/jinja/lexer.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"

namespace stepdown::tokenizer::jinja {
namespace {

constexpr std::string_view kSpaces = " \t\n\r\f\v";

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_utf8(char32_t code_point, std::string& out) {
  if (code_point < 0x80) {
    out += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    out += static_cast<char>(0xc0u | (code_point >> 6));
    out += static_cast<char>(0x80u | (code_point & 0x3fu));
  } else {
    out += static_cast<char>(0xe0u | (code_point >> 12));
    out += static_cast<char>(0x80u | ((code_point >> 6) & 0x3fu));
    out += static_cast<char>(0x80u | (code_point & 0x3fu));
  }
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) {
    text_.reserve(source.size());
    for (std::size_t i = 0; i < source.size(); ++i) {  // \r\n and \r count as \n
      if (source[i] != '\r') {
        text_ += source[i];
      } else if (i + 1 == source.size() || source[i + 1] != '\n') {
        text_ += '\n';
      }
    }
    if (text_.ends_with('\n')) text_.pop_back();
  }

  std::vector<Token> run() {
    while (at_ < text_.size()) {
      const std::size_t tag = find_tag();
      data(tag);
      if (tag == std::string::npos) break;
      switch (text_[tag + 1]) {
        case '#':
          comment();
          break;
        case '%':
          tag_body(TokenKind::kBlockBegin, TokenKind::kBlockEnd, "%}");
          break;
        default:
          tag_body(TokenKind::kPrintBegin, TokenKind::kPrintEnd, "}}");
      }
    }
    push(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  std::size_t find_tag() const {
    for (std::size_t i = text_.find('{', at_); i != std::string::npos; i = text_.find('{', i + 1)) {
      if (i + 1 < text_.size() && std::string_view("{%#").find(text_[i + 1]) != std::string_view::npos)
        return i;
    }
    return std::string::npos;
  }

  /// The text up to the tag at `tag`, stripped as the tag's own signs and lstrip_blocks ask.
  void data(std::size_t tag) {
    std::string_view piece = std::string_view(text_).substr(at_, tag == std::string::npos ? tag : tag - at_);
    if (tag != std::string::npos) {
      const char sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
      if (sign == '-') {
        const std::size_t last = piece.find_last_not_of(kSpaces);
        piece = piece.substr(0, last == std::string_view::npos ? 0 : last + 1);
      } else if (sign != '+' && text_[tag + 1] != '{') {
        const std::size_t newline = piece.rfind('\n');
        const std::size_t start = newline == std::string_view::npos ? 0 : newline + 1;
        const bool line_start = newline != std::string_view::npos || at_ == 0 || text_[at_ - 1] == '\n';
        if (line_start && piece.substr(start).find_first_not_of(kSpaces) == std::string_view::npos)
          piece = piece.substr(0, start);
      }
    }
    if (!piece.empty()) push(TokenKind::kData, std::string(piece));
    advance(tag == std::string::npos ? text_.size() : tag);
  }

  void comment() {
    const Place begin = place_;
    const std::size_t end = text_.find("#}", at_ + 2);
    if (end == std::string::npos) fail(begin, "comment is not closed");
    const bool strip = end > at_ + 2 && text_[end - 1] == '-';
    advance(end + 2);
    after_tag(strip ? '-' : '\0', true);
  }

  void tag_body(TokenKind begin, TokenKind end, std::string_view close) {
    const Place opened = place_;
    push(begin, "");
    advance(at_ + 2);
    if (at_ < text_.size() && (text_[at_] == '-' || (text_[at_] == '+' && begin == TokenKind::kBlockBegin)))
      advance(at_ + 1);
    std::size_t open_braces = 0;  // "}}" may close two dicts
    for (;;) {
      advance(std::min(text_.find_first_not_of(kSpaces, at_), text_.size()));
      if (at_ >= text_.size()) fail(opened, "tag is not closed");
      const std::string_view rest = std::string_view(text_).substr(at_);
      const char sign =
          (rest[0] == '-' || rest[0] == '+') && open_braces == 0 && rest.substr(1).starts_with(close)
              ? rest[0]
              : '\0';
      if (sign != '\0' || (open_braces == 0 && rest.starts_with(close))) {
        push(end, "");
        advance(at_ + close.size() + (sign != '\0' ? 1 : 0));
        after_tag(sign, end == TokenKind::kBlockEnd);
        return;
      }
      if (rest[0] == '{') ++open_braces;
      if (rest[0] == '}' && open_braces > 0) --open_braces;
      token();
    }
  }

  /// What a tag's end swallows: all whitespace after "-", one newline after a block or comment (trim_blocks).
  void after_tag(char sign, bool block) {
    if (sign == '-') {
      advance(std::min(text_.find_first_not_of(kSpaces, at_), text_.size()));
    } else if (sign != '+' && block && at_ < text_.size() && text_[at_] == '\n') {
      advance(at_ + 1);
    }
  }

  void token() {
    const char c = text_[at_];
    if (is_name_start(c))
      return word(TokenKind::kName, [](char n) { return is_name_start(n) || is_digit(n); });
    if (is_digit(c)) return number();
    if (c == '"' || c == '\'') return string(c);
    constexpr std::array<std::string_view, 6> kPairs = {"==", "!=", "<=", ">=", "//", "**"};
    const std::string_view rest = std::string_view(text_).substr(at_);
    const bool pair = std::ranges::any_of(kPairs, [rest](std::string_view p) { return rest.starts_with(p); });
    if (!pair && std::string_view("+-*/%~.,:|()[]{}<>=").find(c) == std::string_view::npos) {
      fail(place_, std::string("unexpected character '") + c + "'");
    }
    push(TokenKind::kOperator, std::string(rest.substr(0, pair ? 2 : 1)));
    advance(at_ + (pair ? 2 : 1));
  }

  template <typename Belongs>
  void word(TokenKind kind, Belongs belongs) {
    std::size_t end = at_;
    while (end < text_.size() && belongs(text_[end])) ++end;
    push(kind, text_.substr(at_, end - at_));
    advance(end);
  }

  void number() {
    std::size_t end = at_;
    bool fraction = false;
    while (end < text_.size() &&
           (is_digit(text_[end]) ||
            (!fraction && text_[end] == '.' && end + 1 < text_.size() && is_digit(text_[end + 1])))) {
      fraction = fraction || text_[end] == '.';
      ++end;
    }
    push(fraction ? TokenKind::kFloat : TokenKind::kInteger, text_.substr(at_, end - at_));
    advance(end);
  }

  void string(char quote) {
    const Place begin = place_;
    std::string value;
    std::size_t i = at_ + 1;
    for (; i < text_.size() && text_[i] != quote; ++i) {
      if (text_[i] != '\\') {
        value += text_[i];
        continue;
      }
      if (++i >= text_.size()) break;
      i = escape(i, value);
    }
    if (i >= text_.size()) fail(begin, "string is not closed");
    push(TokenKind::kString, std::move(value));
    advance(i + 1);
  }

  /// Python's escapes; returns the index of the last character used.
  std::size_t escape(std::size_t i, std::string& value) const {
    constexpr std::string_view kLetters = "ntrfvab\\'\"";
    constexpr std::string_view kMeanings = "\n\t\r\f\v\a\b\\'\"";
    const char c = text_[i];
    if (const std::size_t known = kLetters.find(c); known != std::string_view::npos) {
      value += kMeanings[known];
      return i;
    }
    const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 0;
    char32_t code_point = 0;
    bool valid = digits > 0;
    for (std::size_t k = 1; k <= digits; ++k) {
      const std::size_t digit =
          i + k < text_.size()
              ? std::string_view("0123456789abcdef").find(static_cast<char>(text_[i + k] | 0x20))
              : std::string::npos;
      valid = valid && digit != std::string::npos;
      code_point = code_point * 16 + static_cast<char32_t>(digit & 15);
    }
    if (!valid || (code_point >= 0xd800 && code_point < 0xe000)) {
      value += '\\';
      value += c;
      return i;
    }
    append_utf8(code_point, value);
    return i + digits;
  }

  void push(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), place_}); }

  void advance(std::size_t to) {
    for (; at_ < to; ++at_) {
      if (text_[at_] == '\n') {
        ++place_.line;
        place_.column = 1;
      } else {
        ++place_.column;
      }
    }
  }

  std::string text_;
  std::size_t at_ = 0;
  Place place_;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> lex(std::string_view source) {
  return Lexer(source).run();
}

void fail(const Place& place, const std::string& what) {
  throw InputError(what, "chat template:" + std::to_string(place.line) + ":" + std::to_string(place.column));
}

}  // namespace stepdown::tokenizer::jinja
