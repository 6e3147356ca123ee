#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/schema/code_point_ranges.h"
#include "engine/schema/grammar_builder.h"
#include "engine/schema/text_grammar.h"

namespace stepdown::schema {
namespace {

using State = TextGrammar::State;

class GbnfParser {
 public:
  explicit GbnfParser(std::string_view source) : source_(source) {}

  std::shared_ptr<const TextGrammar> run() {
    skip_space();
    while (at_ < source_.size()) rule();
    const auto undefined = std::ranges::find_if(defined_, [](const auto& entry) { return !entry.second; });
    if (undefined != defined_.end()) fail("rule '" + undefined->first + "' is not defined");
    if (!numbers_.contains("root")) fail("there is no rule 'root'");
    return builder_.build(numbers_["root"], "gbnf:" + std::string(source_));
  }

 private:
  struct Part {
    State start, end;
  };

  [[noreturn]] void fail(const std::string& what) const {
    const auto line = 1 + std::ranges::count(source_.substr(0, std::min(at_, source_.size())), '\n');
    throw InputError(what, "grammar, line " + std::to_string(line), "write GBNF: name ::= alternatives");
  }

  void skip_space() {
    while (at_ < source_.size()) {
      if (source_[at_] == '#') {
        at_ = std::min(source_.find('\n', at_), source_.size());
      } else if (std::string_view(" \t\r\n").find(source_[at_]) != std::string_view::npos) {
        ++at_;
      } else {
        return;
      }
    }
  }

  bool accept(std::string_view text) {
    if (!source_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    skip_space();
    return true;
  }

  static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  }

  std::string name() {
    const std::size_t begin = at_;
    while (at_ < source_.size() && is_name(source_[at_])) ++at_;
    std::string text(source_.substr(begin, at_ - begin));
    skip_space();
    return text;
  }

  std::size_t number_of(const std::string& name) {
    constexpr std::size_t kMostRules = 2000;
    const auto [entry, fresh] = numbers_.try_emplace(name, builder_.rules.size());
    if (fresh) {
      if (builder_.rules.size() >= kMostRules) fail("there are too many rules");
      builder_.rules.push_back({name, builder_.state(), builder_.state()});
      defined_.try_emplace(name, false);
    }
    return entry->second;
  }

  void rule() {
    const std::string rule_name = name();
    if (rule_name.empty() || !accept("::=")) fail("a rule must begin with its name and ::=");
    const std::size_t number = number_of(rule_name);
    if (std::exchange(defined_[rule_name], true)) fail("rule '" + rule_name + "' is defined twice");
    const Part body = alternatives(0);
    link(builder_.rules[number].start, body.start);
    link(body.end, builder_.rules[number].end);
  }

  void link(State from, State to) { builder_.nfa.empty.emplace_back(from, to); }

  Part alternatives(int depth) {
    if (depth > 50) fail("groups are nested too deeply");
    const Part whole{builder_.state(), builder_.state()};
    GrammarBuilder::Trie texts;
    const State texts_start = builder_.state();
    link(whole.start, texts_start);
    do {
      if (const auto text = lone_literal()) {
        builder_.add_text(texts, texts_start, whole.end, *text);
        continue;
      }
      const Part one = sequence(depth);
      link(whole.start, one.start);
      link(one.end, whole.end);
    } while (accept("|"));
    return whole;
  }

  /// An alternative that is nothing but one literal.
  std::optional<std::u32string> lone_literal() {
    const std::size_t begin = at_;
    if (at_ < source_.size() && source_[at_] == '"') {
      std::u32string text = literal_text();
      if (at_ >= source_.size() || source_[at_] == '|' || source_[at_] == ')' || starts_rule()) return text;
    }
    at_ = begin;
    return std::nullopt;
  }

  bool starts_rule() {
    const std::size_t begin = at_;
    const bool starts = !name().empty() && source_.substr(at_).starts_with("::=");
    at_ = begin;
    return starts;
  }

  Part sequence(int depth) {
    Part whole{builder_.state(), 0};
    whole.end = whole.start;
    while (at_ < source_.size() && source_[at_] != '|' && source_[at_] != ')' && !starts_rule()) {
      const std::size_t begin = at_;
      Part item = repeated(depth, begin);
      link(whole.end, item.start);
      whole.end = item.end;
    }
    return whole;
  }

  /// Bounded repeats parse their item again for every copy.
  Part repeated(int depth, std::size_t begin) {
    Part first = item(depth);
    std::size_t least = 1;
    std::size_t most = 1;
    bool unbounded = false;
    if (accept("?")) {
      least = 0;
    } else if (accept("*")) {
      least = 0;
      unbounded = true;
    } else if (accept("+")) {
      unbounded = true;
    } else if (accept("{")) {
      least = most = count();
      if (accept(",")) {
        unbounded = at_ < source_.size() && source_[at_] == '}';
        if (!unbounded) most = count();
      }
      if (!accept("}") || (!unbounded && most < least)) fail("a repeat count that cannot be");
    } else {
      return first;
    }
    const std::size_t after = at_;
    bool used = false;
    Part whole{builder_.state(), 0};
    whole.end = whole.start;
    const auto append = [&](bool skip, bool again) {
      if (std::exchange(used, true)) {
        at_ = begin;
        first = item(depth);
      }
      const Part loop{builder_.state(), builder_.state()};
      link(loop.start, first.start);
      link(first.end, loop.end);
      if (skip) link(loop.start, loop.end);
      if (again) link(first.end, first.start);
      link(whole.end, loop.start);
      whole.end = loop.end;
    };
    for (std::size_t i = 0; i < least; ++i) append(false, unbounded && i + 1 == least);
    if (unbounded && least == 0) append(true, true);
    for (std::size_t i = least; !unbounded && i < most; ++i) append(true, false);
    at_ = after;
    return whole;
  }

  std::size_t count() {
    const std::string digits = name();
    if (digits.empty() || digits.size() > 4 || digits.find_first_not_of("0123456789") != std::string::npos)
      fail("a repeat count is missing or too large");
    return std::stoul(digits);
  }

  Part item(int depth) {
    if (accept("(")) {
      const Part group = alternatives(depth + 1);
      if (!accept(")")) fail("a group is not closed");
      return group;
    }
    if (source_[at_] == '"') return literal();
    if (source_[at_] == '[') return char_class();
    if (accept(".")) return one_of({{0, kLastCodePoint}});
    if (!is_name(source_[at_])) fail(std::string("unexpected character '") + source_[at_] + "'");
    const std::size_t number = number_of(name());
    const Part part{builder_.state(), builder_.state()};
    builder_.calls.push_back({part.start, number, part.end});
    return part;
  }

  Part one_of(const CodePointRanges& ranges) {
    const Part part{builder_.state(), builder_.state()};
    add_code_points(builder_.nfa, part.start, part.end, ranges);
    return part;
  }

  Part literal() {
    Part whole{builder_.state(), 0};
    whole.end = whole.start;
    for (const char32_t c : literal_text()) {
      const State next = builder_.state();
      add_code_points(builder_.nfa, whole.end, next, {{c, c}});
      whole.end = next;
    }
    return whole;
  }

  std::u32string literal_text() {
    std::u32string text;
    for (++at_;;) {
      if (at_ >= source_.size()) fail("a literal is not closed");
      if (source_[at_] == '"') break;
      text += code_point();
    }
    ++at_;
    skip_space();
    return text;
  }

  Part char_class() {
    ++at_;
    const bool negated = at_ < source_.size() && source_[at_] == '^';
    if (negated) ++at_;
    CodePointRanges ranges;
    for (;;) {
      if (at_ >= source_.size()) fail("a class is not closed");
      if (source_[at_] == ']') break;
      const char32_t low = code_point();
      char32_t high = low;
      if (at_ + 1 < source_.size() && source_[at_] == '-' && source_[at_ + 1] != ']') {
        ++at_;
        high = code_point();
      }
      if (high < low) fail("a range that cannot be");
      ranges.emplace_back(low, high);
    }
    ++at_;
    skip_space();
    if (ranges.empty() && !negated) fail("a class is empty");
    return one_of(negated ? complement(ranges) : ranges);
  }

  char32_t code_point() {
    if (source_[at_] == '\\' && at_ + 1 < source_.size()) return escape();
    const CodePoint next = decode_utf8(source_.substr(at_));
    if (next.length == 0) fail("text that is no UTF-8");
    at_ += next.length;
    return next.value;
  }

  char32_t escape() {
    constexpr std::string_view kLetters = "nrt";
    constexpr std::string_view kMeanings = "\n\r\t";
    const char c = source_[at_ + 1];
    at_ += 2;
    if (const std::size_t known = kLetters.find(c); known != std::string_view::npos)
      return static_cast<unsigned char>(kMeanings[known]);
    const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) return static_cast<unsigned char>(c);
    char32_t value = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
      const std::size_t digit =
          at_ < source_.size()
              ? std::string_view("0123456789abcdef").find(static_cast<char>(source_[at_] | 0x20))
              : std::string_view::npos;
      if (digit == std::string_view::npos) fail("an escape is cut short");
      value = value * 16 + static_cast<char32_t>(digit);
    }
    if (value > kLastCodePoint || (value >= 0xd800 && value < 0xe000)) fail("an escape names no code point");
    return value;
  }

  std::string_view source_;
  std::size_t at_ = 0;
  GrammarBuilder builder_;
  std::map<std::string, std::size_t> numbers_;
  std::map<std::string, bool> defined_;
};

}  // namespace

std::shared_ptr<const TextGrammar> TextGrammar::from_gbnf(std::string_view grammar) {
  return GbnfParser(grammar).run();
}

}  // namespace stepdown::schema
