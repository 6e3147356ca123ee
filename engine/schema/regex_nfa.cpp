#include "engine/schema/regex_nfa.h"

#include <string>

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/schema/code_point_ranges.h"

namespace stepdown::schema {
namespace {

using Range = CodePointRange;
using Ranges = CodePointRanges;

const Ranges kDigits = {{'0', '9'}};
const Ranges kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const Ranges kSpace = {{'\t', '\r'}, {' ', ' '}, {0xa0, 0xa0}, {0xfeff, 0xfeff}};

class Parser {
 public:
  explicit Parser(std::string_view regex) : regex_(regex) {}

  RegexNfa run(bool whole_text) {
    const bool start = accept('^') || whole_text;
    Part whole = alternatives(0);
    if (at_ < regex_.size() && !(regex_[at_] == '$' && at_ + 1 == regex_.size()))
      refuse("unexpected character");
    const bool end = at_ < regex_.size() || whole_text;
    if (!whole_text && (start || end) && top_alternatives_ > 1)
      refuse("an anchor beside a top-level '|'; put the alternatives in a group");
    if (!start) whole = sequence(anything(), whole);
    if (!end) whole = sequence(whole, anything());
    nfa_.start = whole.first;
    nfa_.accept = whole.second;
    return std::move(nfa_);
  }

 private:
  using Part = std::pair<std::int32_t, std::int32_t>;  // entry and exit state

  [[noreturn]] void refuse(const std::string& what) const {
    throw InputError("pattern is not supported: " + what + " at character " + std::to_string(at_ + 1), "",
                     "use literals, classes, groups, |, ? * + {m,n}, ^ and $");
  }

  bool accept(char c) {
    if (at_ >= regex_.size() || regex_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::int32_t state() {
    constexpr std::int32_t kMost = 20'000;
    if (nfa_.states >= kMost) refuse("it is too large");
    return nfa_.states++;
  }

  Part nothing() {
    const std::int32_t only = state();
    return {only, only};
  }

  Part sequence(Part a, Part b) {
    nfa_.empty.emplace_back(a.second, b.first);
    return {a.first, b.second};
  }

  Part either(Part a, Part b) {
    const Part joined = {state(), state()};
    for (const Part& part : {a, b}) {
      nfa_.empty.emplace_back(joined.first, part.first);
      nfa_.empty.emplace_back(part.second, joined.second);
    }
    return joined;
  }

  Part repeat(Part inner, bool skip, bool again) {
    const Part loop = {state(), state()};
    nfa_.empty.emplace_back(loop.first, inner.first);
    nfa_.empty.emplace_back(inner.second, loop.second);
    if (skip) nfa_.empty.emplace_back(loop.first, loop.second);
    if (again) nfa_.empty.emplace_back(inner.second, inner.first);
    return loop;
  }

  Part anything() { return repeat(ranges_part({{0, kLastCodePoint}}), true, true); }

  Part alternatives(int depth) {
    if (depth > 50) refuse("nesting is too deep");
    Part result = concatenation(depth);
    int count = 1;
    for (; accept('|'); ++count) result = either(result, concatenation(depth));
    if (depth == 0) top_alternatives_ = count;
    return result;
  }

  Part concatenation(int depth) {
    Part result = nothing();
    while (at_ < regex_.size() && regex_[at_] != '|' && regex_[at_] != ')') {
      if (regex_[at_] == '$' && at_ + 1 == regex_.size() && depth == 0) break;
      const std::size_t begin = at_;
      const Part one = atom(depth);
      result = sequence(result, quantified(one, begin, at_, depth));
    }
    return result;
  }

  /// Bounded repeats parse their atom again for every copy.
  Part quantified(Part first, std::size_t begin, std::size_t end, int depth) {
    std::size_t least = 1;
    std::size_t most = 1;
    bool unbounded = false;
    if (accept('?')) {
      least = 0;
    } else if (accept('*')) {
      least = 0;
      unbounded = true;
    } else if (accept('+')) {
      unbounded = true;
    } else if (accept('{')) {
      least = most = count();
      if (accept(',')) {
        unbounded = at_ < regex_.size() && regex_[at_] == '}';
        if (!unbounded) most = count();
      }
      if (!accept('}') || (!unbounded && most < least)) refuse("a repeat count that cannot be");
    } else {
      return first;
    }
    if (at_ < regex_.size() && (regex_[at_] == '?' || regex_[at_] == '+' || regex_[at_] == '*'))
      refuse("a quantified quantifier");
    const std::size_t after = at_;
    bool used = false;
    const auto copy = [&] {
      if (!used) {
        used = true;
        return first;
      }
      at_ = begin;
      const Part part = atom(depth);
      if (at_ != end) refuse("a repeat");
      return part;
    };
    Part result = nothing();
    for (std::size_t i = 0; i < least; ++i)
      result = sequence(result, unbounded && i + 1 == least ? repeat(copy(), false, true) : copy());
    if (unbounded && least == 0) result = sequence(result, repeat(copy(), true, true));
    for (std::size_t i = least; !unbounded && i < most; ++i)
      result = sequence(result, repeat(copy(), true, false));
    at_ = after;
    return result;
  }

  std::size_t count() {
    std::size_t value = 0;
    const std::size_t begin = at_;
    while (at_ < regex_.size() && regex_[at_] >= '0' && regex_[at_] <= '9' && at_ - begin < 5)
      value = value * 10 + static_cast<std::size_t>(regex_[at_++] - '0');
    if (at_ == begin || value > 1000) refuse("a repeat count above 1000 or missing");
    return value;
  }

  Part atom(int depth) {
    if (accept('(')) {
      if (accept('?') && !accept(':')) refuse("a lookaround or named group");
      const Part inner = alternatives(depth + 1);
      if (!accept(')')) refuse("a group that is not closed");
      return inner;
    }
    if (accept('[')) return ranges_part(char_class());
    if (accept('.')) return ranges_part(complement({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
    const char c = regex_[at_];
    if (std::string_view("^$*+?{}])").find(c) != std::string_view::npos)
      refuse(std::string("'") + c + "' here");
    if (accept('\\')) return ranges_part(escape());
    return ranges_part({code_point()});
  }

  Range code_point() {
    const CodePoint next = decode_utf8(regex_.substr(at_));
    if (next.length == 0) refuse("text that is no UTF-8");
    at_ += next.length;
    return {next.value, next.value};
  }

  Ranges escape() {
    if (at_ >= regex_.size()) refuse("a lone backslash");
    const char c = regex_[at_++];
    switch (c) {
      case 'd':
        return kDigits;
      case 'D':
        return complement(kDigits);
      case 'w':
        return kWord;
      case 'W':
        return complement(kWord);
      case 's':
        return kSpace;
      case 'S':
        return complement(kSpace);
      case 'n':
        return {{'\n', '\n'}};
      case 't':
        return {{'\t', '\t'}};
      case 'r':
        return {{'\r', '\r'}};
      default:
        break;
    }
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
        static_cast<unsigned char>(c) >= 0x80) {
      refuse(std::string("escape \\") + c);
    }
    const auto literal = static_cast<char32_t>(c);
    return {{literal, literal}};
  }

  Ranges char_class() {
    const bool negated = accept('^');
    Ranges ranges;
    for (;;) {
      if (at_ >= regex_.size()) refuse("a class that is not closed");
      if (accept(']')) break;
      Ranges low = accept('\\') ? escape() : Ranges{code_point()};
      const bool is_range = at_ + 1 < regex_.size() && regex_[at_] == '-' && regex_[at_ + 1] != ']';
      if (is_range) {
        ++at_;
        const Ranges high = accept('\\') ? escape() : Ranges{code_point()};
        const bool plain = low.size() == 1 && high.size() == 1 && low[0].first == low[0].second &&
                           high[0].first == high[0].second;
        if (!plain || high[0].first < low[0].first) refuse("a range that cannot be");
        low = {{low[0].first, high[0].first}};
      }
      ranges.insert(ranges.end(), low.begin(), low.end());
    }
    if (ranges.empty() && !negated) refuse("an empty class");
    return negated ? complement(ranges) : ranges;
  }

  Part ranges_part(const Ranges& ranges) {
    const Part part = {state(), state()};
    add_code_points(nfa_, part.first, part.second, ranges);
    return part;
  }

  std::string_view regex_;
  std::size_t at_ = 0;
  int top_alternatives_ = 1;
  RegexNfa nfa_;
};

}  // namespace

RegexNfa parse_regex(std::string_view regex) {
  return Parser(regex).run(/*whole_text=*/false);
}

RegexNfa parse_whole_regex(std::string_view regex) {
  return Parser(regex).run(/*whole_text=*/true);
}

}  // namespace stepdown::schema
