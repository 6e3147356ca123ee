#include "operator/local/api/cel/functions.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>

#include "operator/local/api/cel/program.h"
#include "operator/local/api/regex.h"

namespace stepdown::local::api::cel {
namespace {

[[noreturn]] void no_overload() {
  throw EvaluationError("no such overload");
}

const std::string& text(const Json& value) {
  if (!value.is_string()) no_overload();
  return value.get_ref<const std::string&>();
}

std::int64_t whole(const Json& value) {
  if (!value.is_number_integer()) no_overload();
  return value.get<std::int64_t>();
}

const Json& list(const Json& value) {
  if (!value.is_array()) no_overload();
  return value;
}

std::size_t code_points(std::string_view bytes) {
  return static_cast<std::size_t>(std::count_if(
      bytes.begin(), bytes.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// Byte offset of code point `index`; npos when the text is shorter.
std::size_t byte_of(std::string_view bytes, std::int64_t index) {
  if (index < 0) return std::string_view::npos;
  std::size_t at = 0;
  for (; index > 0; --index) {
    if (at >= bytes.size()) return std::string_view::npos;
    do {
      ++at;
    } while (at < bytes.size() && (static_cast<unsigned char>(bytes[at]) & 0xc0) == 0x80);
  }
  return at;
}

Json size(std::span<const Json> a) {
  if (a[0].is_string()) return static_cast<std::int64_t>(code_points(text(a[0])));
  if (a[0].is_array() || a[0].is_object()) return static_cast<std::int64_t>(a[0].size());
  no_overload();
}

Json starts_with(std::span<const Json> a) {
  return text(a[0]).starts_with(text(a[1]));
}
Json ends_with(std::span<const Json> a) {
  return text(a[0]).ends_with(text(a[1]));
}
Json contains_text(std::span<const Json> a) {
  return text(a[0]).find(text(a[1])) != std::string::npos;
}

Json matches(std::span<const Json> a) {
  try {
    return Regex(text(a[1])).search(text(a[0]));
  } catch (const EvaluationError&) {
    throw;
  } catch (const std::exception& error) {
    throw EvaluationError(error.what());
  }
}

template <int (*kConvert)(int)>
Json ascii(std::span<const Json> a) {
  std::string out = text(a[0]);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x80) c = static_cast<char>(kConvert(c));
  }
  return out;
}

Json trim(std::span<const Json> a) {
  const std::string& value = text(a[0]);
  const std::size_t first = value.find_first_not_of(" \t\n\r\f\v");
  if (first == std::string::npos) return "";
  return value.substr(first, value.find_last_not_of(" \t\n\r\f\v") - first + 1);
}

Json split(std::span<const Json> a) {
  const std::string& value = text(a[0]);
  const std::string& mark = text(a[1]);
  Json out = Json::array();
  if (mark.empty()) {
    for (std::size_t at = 0; at < value.size();) {
      const std::size_t length = byte_of(std::string_view(value).substr(at), 1);
      out.push_back(value.substr(at, length));
      at += length;
    }
    return out;
  }
  std::size_t from = 0;
  for (std::size_t at = value.find(mark); at != std::string::npos; at = value.find(mark, from)) {
    out.push_back(value.substr(from, at - from));
    from = at + mark.size();
  }
  out.push_back(value.substr(from));
  return out;
}

Json join(std::span<const Json> a) {
  const std::string mark = a.size() > 1 ? text(a[1]) : "";
  std::string out;
  for (const Json& item : list(a[0])) {
    if (&item != &a[0].front()) out += mark;
    out += text(item);
  }
  return out;
}

Json replace(std::span<const Json> a) {
  const std::string& value = text(a[0]);
  const std::string& from = text(a[1]);
  const std::string& to = text(a[2]);
  if (from.empty()) no_overload();
  std::string out;
  std::size_t at = 0;
  for (std::size_t hit = value.find(from); hit != std::string::npos; hit = value.find(from, at)) {
    out += value.substr(at, hit - at) + to;
    at = hit + from.size();
    if (out.size() > 1'000'000) throw EvaluationError("result of replace() is too long");
  }
  return out + value.substr(at);
}

Json substring(std::span<const Json> a) {
  const std::string& value = text(a[0]);
  const std::size_t from = byte_of(value, whole(a[1]));
  const std::size_t to = a.size() > 2 ? byte_of(value, whole(a[2])) : value.size();
  if (from == std::string::npos || to == std::string::npos || from > to)
    throw EvaluationError("index out of range");
  return value.substr(from, to - from);
}

Json index_of(std::span<const Json> a) {
  if (a[0].is_array()) {
    for (std::size_t i = 0; i < a[0].size(); ++i) {
      if (equal(a[0][i], a[1])) return static_cast<std::int64_t>(i);
    }
    return std::int64_t{-1};
  }
  const std::size_t at = text(a[0]).find(text(a[1]));
  if (at == std::string::npos) return std::int64_t{-1};
  return static_cast<std::int64_t>(code_points(std::string_view(text(a[0])).substr(0, at)));
}

Json is_sorted(std::span<const Json> a) {
  const Json& items = list(a[0]);
  for (std::size_t i = 1; i < items.size(); ++i) {
    if (compare(items[i - 1], items[i]) > 0) return false;
  }
  return true;
}

Json sum(std::span<const Json> a) {
  Json total = std::int64_t{0};
  for (const Json& item : list(a[0])) total = &item == &a[0].front() ? item : arithmetic("+", total, item);
  return total;
}

template <int kSign>
Json extreme(std::span<const Json> a) {
  if (list(a[0]).empty()) throw EvaluationError("min/max called on empty list");
  const Json* best = &a[0].front();
  for (const Json& item : a[0]) {
    if (compare(item, *best) * kSign > 0) best = &item;
  }
  return *best;
}

Json to_int(std::span<const Json> a) {
  const Json& value = a[0];
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX)
    throw EvaluationError("integer overflow");
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number_float()) {
    const double real = value.get<double>();
    if (!(std::fabs(real) < 0x1p63)) throw EvaluationError("integer overflow");
    return static_cast<std::int64_t>(real);
  }
  char* end = nullptr;
  errno = 0;
  const long long parsed = std::strtoll(text(value).c_str(), &end, 10);
  if (errno != 0 || end == text(value).c_str() || *end != '\0')
    throw EvaluationError("type conversion error from string to int");
  return static_cast<std::int64_t>(parsed);
}

Json to_double(std::span<const Json> a) {
  if (a[0].is_number()) return a[0].get<double>();
  char* end = nullptr;
  const double parsed = std::strtod(text(a[0]).c_str(), &end);
  if (end == text(a[0]).c_str() || *end != '\0')
    throw EvaluationError("type conversion error from string to double");
  return parsed;
}

Json to_string(std::span<const Json> a) {
  if (a[0].is_string()) return a[0];
  if (a[0].is_number() || a[0].is_boolean()) return a[0].dump();
  no_overload();
}

Json identity(std::span<const Json> a) {
  return a[0];
}

// An optional value is a list of one or none (Program::evaluate).
Json has_value(std::span<const Json> arguments) {
  if (!arguments[0].is_array()) no_overload();
  return !arguments[0].empty();
}
Json value_of(std::span<const Json> arguments) {
  if (!arguments[0].is_array()) no_overload();
  if (arguments[0].empty()) throw EvaluationError("optional.none() dereference");
  return arguments[0].front();
}
Json or_value(std::span<const Json> arguments) {
  if (!arguments[0].is_array()) no_overload();
  return arguments[0].empty() ? arguments[1] : arguments[0].front();
}

constexpr auto kFunctions = std::to_array<Function>({
    {"size", 1, 1, true, true, size},
    {"startsWith", 2, 2, true, false, starts_with},
    {"endsWith", 2, 2, true, false, ends_with},
    {"contains", 2, 2, true, false, contains_text},
    {"matches", 2, 2, true, true, matches},
    {"lowerAscii", 1, 1, true, false, ascii<std::tolower>},
    {"upperAscii", 1, 1, true, false, ascii<std::toupper>},
    {"trim", 1, 1, true, false, trim},
    {"split", 2, 2, true, false, split},
    {"join", 1, 2, true, false, join},
    {"replace", 3, 3, true, false, replace},
    {"substring", 2, 3, true, false, substring},
    {"indexOf", 2, 2, true, false, index_of},
    {"isSorted", 1, 1, true, false, is_sorted},
    {"sum", 1, 1, true, false, sum},
    {"min", 1, 1, true, false, extreme<-1>},
    {"max", 1, 1, true, false, extreme<1>},
    {"int", 1, 1, false, true, to_int},
    {"double", 1, 1, false, true, to_double},
    {"string", 1, 1, false, true, to_string},
    {"dyn", 1, 1, false, true, identity},
    {"hasValue", 1, 1, true, false, has_value},
    {"value", 1, 1, true, false, value_of},
    {"orValue", 2, 2, true, false, or_value},
});

template <typename T>
int order(const T& left, const T& right) {
  return left < right ? -1 : (right < left ? 1 : 0);
}

}  // namespace

const Function* find_function(std::string_view name, bool method, std::size_t arguments) {
  for (const Function& function : kFunctions) {
    if (function.name == name && (method ? function.method : function.global) &&
        arguments >= function.least && arguments <= function.most) {
      return &function;
    }
  }
  return nullptr;
}

int compare(const Json& left, const Json& right) {
  if (left.is_number() && right.is_number()) {
    if (left.is_number_float() || right.is_number_float())
      return order(left.get<double>(), right.get<double>());
    // nlohmann keeps parsed non-negative integers unsigned; both fit where neither is huge.
    if (left.is_number_unsigned() && right.is_number_unsigned()) {
      return order(left.get<std::uint64_t>(), right.get<std::uint64_t>());
    }
    if (left.is_number_unsigned() && left.get<std::uint64_t>() > INT64_MAX) return 1;
    if (right.is_number_unsigned() && right.get<std::uint64_t>() > INT64_MAX) return -1;
    return order(left.get<std::int64_t>(), right.get<std::int64_t>());
  }
  if (left.is_string() && right.is_string()) return order(text(left), text(right));
  if (left.is_boolean() && right.is_boolean()) return order(left.get<bool>(), right.get<bool>());
  no_overload();
}

bool equal(const Json& left, const Json& right) {
  return left == right;  // nlohmann compares numbers across types and containers deeply
}

Json arithmetic(std::string_view op, const Json& left, const Json& right) {
  if (op == "+" && left.is_string() && right.is_string()) {
    if (text(left).size() + text(right).size() > 1'000'000) throw EvaluationError("string too long");
    return text(left) + text(right);
  }
  if (op == "+" && left.is_array() && right.is_array()) {
    Json out = left;
    out.insert(out.end(), right.begin(), right.end());
    return out;
  }
  if (!left.is_number() || !right.is_number()) no_overload();
  if (left.is_number_float() || right.is_number_float()) {
    const double a = left.get<double>();
    const double b = right.get<double>();
    if (op == "+") return a + b;
    if (op == "-") return a - b;
    if (op == "*") return a * b;
    if (op == "/") return a / b;
    no_overload();
  }
  const std::int64_t a = left.get<std::int64_t>();
  const std::int64_t b = right.get<std::int64_t>();
  std::int64_t out = 0;
  bool overflow = false;
  if (op == "+") {
    overflow = __builtin_add_overflow(a, b, &out);
  } else if (op == "-") {
    overflow = __builtin_sub_overflow(a, b, &out);
  } else if (op == "*") {
    overflow = __builtin_mul_overflow(a, b, &out);
  } else {
    if (b == 0) throw EvaluationError(op == "/" ? "division by zero" : "modulus by zero");
    overflow = a == INT64_MIN && b == -1;
    if (!overflow) out = op == "/" ? a / b : a % b;
  }
  if (overflow) throw EvaluationError("integer overflow");
  return out;
}

bool contains(const Json& container, const Json& item) {
  if (container.is_object()) return item.is_string() && container.contains(text(item));
  if (!container.is_array()) no_overload();
  return std::any_of(container.begin(), container.end(),
                     [&](const Json& entry) { return equal(entry, item); });
}

}  // namespace stepdown::local::api::cel
