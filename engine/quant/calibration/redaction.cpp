#include "engine/quant/calibration/redaction.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "engine/base/error.h"

namespace stepdown::quant {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
/// Bytes of other scripts count as letters, so that a name inside a longer word stays.
bool is_word(char c) {
  return is_digit(c) || is_letter(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
char lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

/// How many bytes at `at` are personal data; 0: none.
using Finder = std::size_t (*)(std::string_view text, std::size_t at);

bool starts_word(std::string_view text, std::size_t at) {
  return at == 0 || !is_word(text[at - 1]);
}

/// JSON within a text has line ends as "\n" and other characters as "\u00e9": what follows such a mark
/// begins a word, though its last character is a letter or a digit. The length of one whose backslash lies
/// before `at`; 0: there is none.
std::size_t escape_length(std::string_view text, std::size_t at) {
  if (at == 0 || text[at - 1] != '\\') return 0;
  if (std::string_view("bfnrt").find(text[at]) != std::string_view::npos) return 1;
  constexpr std::size_t kUnicode = 5;
  if (text[at] != 'u' || text.size() - at < kUnicode) return 0;
  const auto hex = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; };
  return std::ranges::all_of(text.substr(at + 1, kUnicode - 1), hex) ? kUnicode : 0;
}

std::size_t find_email(std::string_view text, std::size_t at) {
  const auto local = [](char c) {
    return is_digit(c) || is_letter(c) || std::string_view("._%+-").find(c) != std::string_view::npos;
  };
  if (!local(text[at]) || (at > 0 && local(text[at - 1]))) return 0;
  constexpr std::size_t kLongest = 254;
  const std::size_t limit = std::min(text.size(), at + kLongest);
  std::size_t end = at;
  while (end < limit && local(text[end])) ++end;
  if (end == limit || text[end] != '@') return 0;
  std::size_t dot = 0;
  for (++end;
       end < limit && (is_digit(text[end]) || is_letter(text[end]) || text[end] == '-' || text[end] == '.');
       ++end) {
    if (text[end] == '.' && end + 2 < limit && is_letter(text[end + 1]) && is_letter(text[end + 2]))
      dot = end;
  }
  if (dot == 0) return 0;
  std::size_t last = dot + 1;
  while (last < end && (is_letter(text[last]))) ++last;
  return last - at;
}

/// Digits with single separators from `at`, and where they end.
struct DigitRun {
  std::string digits;
  std::size_t length = 0;
  bool separated = false;
};
DigitRun digit_run(std::string_view text, std::size_t at, std::string_view separators, std::size_t longest) {
  DigitRun run;
  for (std::size_t i = at; i < text.size() && run.digits.size() <= longest; ++i) {
    if (is_digit(text[i])) {
      run.digits += text[i];
      run.length = i + 1 - at;
    } else if (separators.find(text[i]) == std::string_view::npos || i + 1 == text.size() ||
               (i > at && separators.find(text[i - 1]) != std::string_view::npos && text[i] != '(' &&
                text[i - 1] != ')')) {
      break;
    } else {
      run.separated = run.separated || run.digits.size() > 0;
    }
  }
  return run;
}

std::size_t find_card(std::string_view text, std::size_t at) {
  if (!is_digit(text[at]) || !starts_word(text, at)) return 0;
  const DigitRun run = digit_run(text, at, " -", 19);
  if (run.digits.size() < 13 || run.digits.size() > 19) return 0;
  if (at + run.length < text.size() && is_word(text[at + run.length])) return 0;
  int sum = 0;  // Luhn: every second digit from the right doubled
  for (std::size_t i = 0; i < run.digits.size(); ++i) {
    int digit = run.digits[run.digits.size() - 1 - i] - '0';
    if (i % 2 == 1) digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return sum % 10 == 0 ? run.length : 0;
}

/// ISO 13616: the first four characters moved behind, letters as 10…35, ≡ 1 modulo 97.
bool is_iban(const std::string& compact) {
  int remainder = 0;
  for (std::size_t i = 0; i < compact.size(); ++i) {
    const char c = compact[(i + 4) % compact.size()];
    const int value = is_digit(c) ? c - '0' : c - 'A' + 10;
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder == 1;
}

std::size_t find_iban(std::string_view text, std::size_t at) {
  if (!starts_word(text, at) || at + 15 > text.size() || !is_letter(text[at]) || !is_letter(text[at + 1]) ||
      !is_digit(text[at + 2]) || !is_digit(text[at + 3])) {
    return 0;
  }
  std::string compact;
  std::size_t found = 0;
  for (std::size_t i = at; i < text.size() && compact.size() < 34; ++i) {
    if (text[i] == ' ' && compact.size() % 4 == 0) continue;
    if (!is_digit(text[i]) && !is_letter(text[i])) break;
    compact += static_cast<char>(std::toupper(static_cast<unsigned char>(text[i])));
    const bool ends = i + 1 == text.size() || !is_word(text[i + 1]);
    if (ends && compact.size() >= 15 && is_iban(compact)) found = i + 1 - at;
  }
  return found;
}

/// "2026-11-30", "30.11.2026": three groups of digits, the year first or last, with one separator.
bool begins_date(std::string_view text) {
  std::array<int, 3> groups{};
  std::array<std::size_t, 3> lengths{};
  std::size_t at = 0;
  char separator = '\0';
  for (std::size_t i = 0; i < groups.size(); ++i) {
    for (; at < text.size() && is_digit(text[at]) && lengths[i] < 5; ++at, ++lengths[i])
      groups[i] = groups[i] * 10 + (text[at] - '0');
    if (i + 1 == groups.size()) break;
    if (at == text.size() || std::string_view("-./").find(text[at]) == std::string_view::npos) return false;
    if (i == 0) separator = text[at];
    if (text[at++] != separator) return false;
  }
  const bool ends = at == text.size() || !(is_digit(text[at]) || text[at] == separator);
  const bool year_first = lengths == std::array<std::size_t, 3>{4, 2, 2};
  const bool year_last = lengths == std::array<std::size_t, 3>{2, 2, 4};
  const auto [low, high] = std::minmax(groups[1], year_first ? groups[2] : groups[0]);
  return ends && (year_first || year_last) && low >= 1 && low <= 12 && high <= 31;
}

/// "0.0012": a single digit before the point.
bool begins_decimal(std::string_view text) {
  return text.size() > 2 && text[1] == '.' && is_digit(text[2]);
}

std::size_t find_phone(std::string_view text, std::size_t at) {
  const bool plus = text[at] == '+';
  if (!plus && text[at] != '(' && text[at] != '0' && !is_digit(text[at])) return 0;
  if (!starts_word(text, at) ||
      (at > 0 && (text[at - 1] == '.' || text[at - 1] == '-' || text[at - 1] == '+')))
    return 0;
  if (at > 1 && text[at - 1] == '/' && is_digit(text[at - 2])) return 0;
  // What logs are full of, followed by a time or another number.
  if (is_digit(text[at]) && (begins_date(text.substr(at)) || begins_decimal(text.substr(at)))) return 0;
  const std::size_t skip = plus ? 1 : 0;
  const DigitRun run = digit_run(text, at + skip, " -./()", 15);
  const std::size_t end = at + skip + run.length;
  if (run.digits.size() < 7 || run.digits.size() > 15 || (end < text.size() && is_word(text[end]))) return 0;
  // A number without +, 0 or ( in front is a phone number only when written in groups of one.
  const bool national = text[at] == '0' || text[at] == '(';
  if (!plus && !(national && run.separated) && !(run.separated && run.digits.size() == 10)) return 0;
  return skip + run.length;
}

struct Kind {
  std::string_view name;
  Finder find;  ///< nullptr: by the list of names
};
// In this order: a card number is also a run of digits like a phone's.
constexpr std::array kKinds = {Kind{"email", find_email}, Kind{"iban", find_iban}, Kind{"card", find_card},
                               Kind{"phone", find_phone}, Kind{"name", nullptr}};

}  // namespace

Redactor::Redactor(std::span<const std::string> kinds, std::vector<std::string> names)
    : names_(std::move(names)) {
  for (const std::string& kind : kinds) {
    if (std::ranges::find(kKinds, kind, &Kind::name) == kKinds.end()) {
      throw InputError("cannot redact \"" + kind + "\"", "--redact", "give email, phone, iban, card or name");
    }
  }
  for (const Kind& kind : kKinds) {
    if (std::ranges::find(kinds, kind.name) != kinds.end()) kinds_.emplace_back(kind.name);
  }
  for (std::string& name : names_) std::ranges::transform(name, name.begin(), lower);
  std::erase_if(names_, [](const std::string& name) { return name.empty(); });
  std::ranges::sort(names_, std::ranges::greater(), &std::string::size);
  if (std::ranges::find(kinds_, "name") != kinds_.end() && names_.empty()) {
    throw InputError("names are to be redacted, but no list is given", "--redact",
                     "give --redact-names FILE, one name a line");
  }
}

std::string Redactor::redact(std::string_view text, std::map<std::string, int>& counts) const {
  const auto name_at = [&](std::string_view rest, std::size_t at) -> std::size_t {
    if (!starts_word(rest, at)) return 0;
    for (const std::string& name : names_) {
      const std::size_t end = at + name.size();
      if (end > rest.size() || (end < rest.size() && is_word(rest[end]))) continue;
      if (std::ranges::equal(rest.substr(at, name.size()), name, {}, lower)) return name.size();
    }
    return 0;
  };
  const auto replace_at = [&](std::string_view rest, std::size_t at, std::string& result) -> std::size_t {
    for (const std::string& kind : kinds_) {
      const Finder find = std::ranges::find(kKinds, kind, &Kind::name)->find;
      const std::size_t length = find == nullptr ? name_at(rest, at) : find(rest, at);
      if (length == 0) continue;
      result += "[" + kind + "]";
      ++counts[kind];
      return length;
    }
    return 0;
  };
  std::string result;
  // Begins behind the last replacement or mark, so that what follows it counts as a beginning.
  std::string_view rest = text;
  for (std::size_t at = 0; at < rest.size();) {
    if (const std::size_t length = replace_at(rest, at, result); length > 0) {
      rest.remove_prefix(at + length);
      at = 0;
    } else if (const std::size_t mark = escape_length(rest, at); mark > 0) {
      result += rest.substr(at, mark);
      rest.remove_prefix(at + mark);
      at = 0;
    } else {
      result += rest[at++];
    }
  }
  return result;
}

}  // namespace stepdown::quant
