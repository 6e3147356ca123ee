#include "engine/tokenizer/jinja/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace stepdown::tokenizer::jinja {
namespace {

std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::array<char, 40> buffer{};
  const double magnitude = std::fabs(value);
  const bool plain = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string text(buffer.data(), end.ptr);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

/// Python's repr() of a string: single quotes unless that alone occurs in it.
std::string python_quoted(std::string_view text) {
  const char quote =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else {
      if (c == quote || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + quote;
}

std::string repr(const Value& value) {
  return value.as_text() != nullptr ? python_quoted(*value.as_text()) : to_text(value);
}

std::string json_string(std::string_view text, bool ascii) {
  return nlohmann::json(text).dump(-1, ' ', ascii, nlohmann::json::error_handler_t::replace);
}

class JsonWriter {
 public:
  explicit JsonWriter(const JsonStyle& style) : style_(style) {}

  void write(const Value& value, int depth) {
    if (const List* list = value.as_list()) {
      sequence('[', ']', list->size(), depth, [&](std::size_t i) { write((*list)[i], depth + 1); });
    } else if (const Dict* dict = value.as_dict()) {
      std::vector<std::size_t> order(dict->entries.size());
      std::iota(order.begin(), order.end(), std::size_t{0});
      if (style_.sort_keys)
        std::ranges::sort(order, {},
                          [dict](std::size_t i) { return std::string_view(dict->entries[i].first); });
      sequence('{', '}', order.size(), depth, [&](std::size_t i) {
        const auto& [key, item] = dict->entries[order[i]];
        out_ += json_string(key, style_.ascii) + style_.colon;
        write(item, depth + 1);
      });
    } else if (value.as_text() != nullptr) {
      out_ += json_string(*value.as_text(), style_.ascii);
    } else if (value.is_none()) {
      out_ += "null";
    } else if (value.as<bool>() != nullptr) {
      out_ += value.truthy() ? "true" : "false";
    } else if (value.is_undefined()) {
      throw InputError("'" + value.as<Undefined>()->name + "' is undefined and has no JSON");
    } else if (!value.is_number()) {
      throw InputError("a " + std::string(value.type_name()) + " has no JSON");
    } else {
      out_ += to_text(value);
    }
  }
  std::string take() { return std::move(out_); }

 private:
  template <typename Item>
  void sequence(char open, char close, std::size_t count, int depth, const Item& item) {
    out_ += open;
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) out_ += style_.comma;
      line(depth + 1);
      item(i);
    }
    if (count > 0) line(depth);
    out_ += close;
  }
  void line(int depth) {
    if (style_.indent < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(style_.indent) * static_cast<std::size_t>(depth), ' ');
  }

  const JsonStyle& style_;
  std::string out_;
};

}  // namespace

const Value* Dict::find(std::string_view key) const {
  const auto found = std::ranges::find_if(entries, [key](const auto& entry) { return entry.first == key; });
  return found == entries.end() ? nullptr : &found->second;
}

Value Dict::key(std::size_t index) const {
  const std::string& text = entries[index].first;
  return numbered ? Value(std::int64_t{std::strtoll(text.c_str(), nullptr, 10)}) : Value(text);
}

void Dict::set(std::string_view key, Value value) {
  const auto found = std::ranges::find_if(entries, [key](const auto& entry) { return entry.first == key; });
  if (found != entries.end()) {
    found->second = std::move(value);
  } else {
    entries.emplace_back(key, std::move(value));
  }
}

Value Value::from_json(const nlohmann::ordered_json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    List items;
    for (const auto& item : json) items.push_back(from_json(item));
    return list(std::move(items));
  }
  if (json.is_object()) {
    auto dict = std::make_shared<Dict>();
    for (const auto& [key, item] : json.items()) dict->entries.emplace_back(key, from_json(item));
    return dict;
  }
  return None{};
}

const List* Value::as_list() const {
  const auto* list = as<std::shared_ptr<const List>>();
  return list == nullptr ? nullptr : list->get();
}

Dict* Value::as_dict() const {
  const auto* dict = as<std::shared_ptr<Dict>>();
  return dict == nullptr ? nullptr : dict->get();
}

std::int64_t Value::to_integer() const {
  if (const auto* flag = as<bool>()) return *flag ? 1 : 0;
  const auto* integer = as<std::int64_t>();
  return integer == nullptr ? 0 : *integer;
}

double Value::to_number() const {
  const auto* number = as<double>();
  return number == nullptr ? static_cast<double>(to_integer()) : *number;
}

bool Value::truthy() const {
  if (const std::string* text = as_text()) return !text->empty();
  if (const List* list = as_list()) return !list->empty();
  if (const Dict* dict = as_dict()) return !dict->entries.empty() || dict->assignable;
  if (as<std::shared_ptr<const Callable>>() != nullptr) return true;
  return to_number() != 0;
}

std::string_view Value::type_name() const {
  constexpr std::array<std::string_view, 9> kNames = {"undefined", "None", "bool", "int",  "float",
                                                      "str",       "list", "dict", "macro"};
  return kNames[data_.index()];
}

bool operator==(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    return a.is_integer() && b.is_integer() ? a.to_integer() == b.to_integer()
                                            : a.to_number() == b.to_number();
  }
  if (a.as_text() != nullptr && b.as_text() != nullptr) return *a.as_text() == *b.as_text();
  if (a.as_list() != nullptr && b.as_list() != nullptr) return *a.as_list() == *b.as_list();
  const Dict* left = a.as_dict();
  const Dict* right = b.as_dict();
  if (left != nullptr && right != nullptr) {
    return left->entries.size() == right->entries.size() &&
           std::ranges::all_of(left->entries, [right](const auto& entry) {
             const Value* other = right->find(entry.first);
             return other != nullptr && entry.second == *other;
           });
  }
  return (a.is_none() && b.is_none()) || (a.is_undefined() && b.is_undefined());
}

std::string to_text(const Value& value) {
  if (const std::string* text = value.as_text()) return *text;
  if (value.is_undefined()) return "";
  if (value.is_none()) return "None";
  if (const auto* flag = value.as<bool>()) return *flag ? "True" : "False";
  if (const auto* integer = value.as<std::int64_t>()) return std::to_string(*integer);
  if (const auto* number = value.as<double>()) return number_text(*number);
  std::string out;
  if (const List* list = value.as_list()) {
    for (const Value& item : *list) out += (out.empty() ? "" : ", ") + repr(item);
    return "[" + out + "]";
  }
  const Dict* dict = value.as_dict();
  if (dict == nullptr) return "<" + std::string(value.type_name()) + ">";
  for (const auto& [key, item] : dict->entries)
    out += (out.empty() ? "" : ", ") + python_quoted(key) + ": " + repr(item);
  return "{" + out + "}";
}

std::string to_json_text(const Value& value, const JsonStyle& style) {
  JsonWriter writer(style);
  writer.write(value, 0);
  return writer.take();
}

List iterate(const Value& value) {
  List items;
  if (value.is_undefined()) return items;
  if (const List* list = value.as_list()) return *list;
  if (const Dict* dict = value.as_dict()) {
    for (std::size_t i = 0; i < dict->entries.size(); ++i) items.push_back(dict->key(i));
    return items;
  }
  const std::string* text = value.as_text();
  if (text == nullptr) throw InputError("'" + std::string(value.type_name()) + "' object is not iterable");
  for (std::string_view rest = *text; !rest.empty();) {
    const std::size_t length = std::max<std::size_t>(decode_utf8(rest).length, 1);
    items.push_back(Value::text(rest.substr(0, length)));
    rest.remove_prefix(length);
  }
  return items;
}

}  // namespace stepdown::tokenizer::jinja
