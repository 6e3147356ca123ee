#include <algorithm>
#include <array>
#include <ctime>
#include <limits>

#include "engine/base/error.h"
#include "engine/tokenizer/jinja/builtins.h"
#include "engine/tokenizer/jinja/text.h"

namespace stepdown::tokenizer::jinja {
namespace {

Value text_list(std::vector<std::string> parts) {
  List items;
  for (std::string& part : parts) items.emplace_back(std::move(part));
  return Value::list(std::move(items));
}

std::string_view strip_chars(const Arguments& args) {
  const Value* chars = args.get(1, "chars");
  return chars == nullptr || chars->is_none() ? kWhitespace : std::string_view(args.text(1, "chars"));
}

Value text_strip(const Arguments& args) {
  return strip(*args.object().as_text(), strip_chars(args));
}
Value text_lstrip(const Arguments& args) {
  return strip(*args.object().as_text(), strip_chars(args), true, false);
}
Value text_rstrip(const Arguments& args) {
  return strip(*args.object().as_text(), strip_chars(args), false, true);
}

Value text_split(const Arguments& args) {
  const Value* separator = args.get(1, "sep");
  const bool whitespace = separator == nullptr || separator->is_none();
  if (!whitespace && args.text(1, "sep").empty()) throw InputError("empty separator");
  return text_list(split(*args.object().as_text(), whitespace ? "" : args.text(1, "sep"),
                         args.integer(2, "maxsplit", -1)));
}

template <bool kStart>
Value text_has_affix(const Arguments& args) {
  const std::string& text = *args.object().as_text();
  const auto matches = [&text](const Value& affix) {
    if (affix.as_text() == nullptr) throw InputError("startswith and endswith need strings");
    return kStart ? text.starts_with(*affix.as_text()) : text.ends_with(*affix.as_text());
  };
  const Value* affix = args.get(1, "prefix");
  if (affix == nullptr) throw InputError("startswith and endswith need an argument");
  if (const List* list = affix->as_list()) return std::ranges::any_of(*list, matches);
  return matches(*affix);
}

Value text_replace(const Arguments& args) {
  return replace_text(*args.object().as_text(), args.text(1, "old"), args.text(2, "new"),
                      args.integer(3, "count", -1));
}
Value text_lower(const Arguments& args) {
  return lower(*args.object().as_text());
}
Value text_upper(const Arguments& args) {
  return upper(*args.object().as_text());
}
Value text_title(const Arguments& args) {
  return title(*args.object().as_text());
}
Value text_capitalize(const Arguments& args) {
  return capitalize(*args.object().as_text());
}
Value text_find(const Arguments& args) {
  const std::string& text = *args.object().as_text();
  const std::size_t at = text.find(args.text(1, "sub"));
  return at == std::string::npos
             ? std::int64_t{-1}
             : static_cast<std::int64_t>(count_code_points(std::string_view(text).substr(0, at)));
}
Value text_join(const Arguments& args) {
  if (args.positional.size() < 2) throw InputError("join needs a list");
  return find_filter("join")({{args.positional[1], args.object()}, {}});
}

/// Python's str.format with {}, {0} and {name}; format specifications are refused.
Value text_format(const Arguments& args) {
  const std::string& text = *args.object().as_text();
  std::string out;
  std::size_t next = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool doubled = i + 1 < text.size() && text[i + 1] == text[i];
    if (text[i] != '{' && text[i] != '}') {
      out += text[i];
    } else if (doubled) {
      out += text[i++];
    } else {
      const std::size_t end = text[i] == '{' ? text.find('}', i) : std::string::npos;
      if (end == std::string::npos) throw InputError("single brace in a format string");
      const std::string name = text.substr(i + 1, end - i - 1);
      const bool number = name.size() < 4 && name.find_first_not_of("0123456789") == std::string::npos;
      const std::size_t index = !number        ? args.positional.size()
                                : name.empty() ? next++
                                               : std::stoul(name) + 1;
      const Value* value = args.get(index, name);
      if (value == nullptr) throw InputError("format has no argument for '{" + name + "}'");
      out += to_text(*value);
      i = end;
    }
    check_size(out.size());
  }
  return out;
}

Value dict_items(const Arguments& args) {
  return find_filter("items")(args);
}
Value dict_keys(const Arguments& args) {
  return Value::list(iterate(args.object()));
}
Value dict_values(const Arguments& args) {
  List values;
  for (const auto& entry : args.object().as_dict()->entries) values.push_back(entry.second);
  return Value::list(std::move(values));
}
Value dict_get(const Arguments& args) {
  const Value* otherwise = args.get(2, "default");
  const Value* key = args.get(1, "key");
  const Value* found =
      key == nullptr || key->as_text() == nullptr ? nullptr : args.object().as_dict()->find(*key->as_text());
  if (found != nullptr) return *found;
  return otherwise == nullptr ? Value() : *otherwise;
}

Value raise_exception(const Arguments& args) {
  throw InputError(
      args.positional.empty() ? "the chat template refuses these messages" : to_text(args.positional[0]),
      "messages");
}

Value make_namespace(const Arguments& args) {
  auto dict = std::make_shared<Dict>();
  dict->assignable = true;
  for (const auto& [key, value] : args.keywords) dict->set(key, value);
  return dict;
}

Value make_dict(const Arguments& args) {
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, value] : args.keywords) dict->set(key, value);
  return dict;
}

Value range(const Arguments& args) {
  const std::size_t count = args.positional.size();
  if (count < 1 || count > 3) throw InputError("range takes one to three integers");
  const std::int64_t begin = count == 1 ? 0 : args.positional[0].to_integer();
  const std::int64_t end = args.positional[count == 1 ? 0 : 1].to_integer();
  const std::int64_t step = count == 3 ? args.positional[2].to_integer() : 1;
  constexpr std::int64_t kMost = 100'000;
  constexpr std::int64_t kBound = std::int64_t{1} << 40;
  if (step == 0 || std::max({begin, end, step}) > kBound || std::min({begin, end, step}) < -kBound) {
    throw InputError("range cannot take these bounds");
  }
  List items;
  for (std::int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
    if (static_cast<std::int64_t>(items.size()) >= kMost) throw InputError("range is too long");
    items.emplace_back(i);
  }
  return Value::list(std::move(items));
}

/// transformers' own function: the time of day by strftime's format.
Value strftime_now(const Arguments& args) {
  constexpr std::size_t kLongestFormat = 200;
  if (args.positional.empty() || args.positional[0].as_text() == nullptr ||
      args.positional[0].as_text()->size() > kLongestFormat) {
    throw InputError("strftime_now takes a short format");
  }
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 4096> text{};
  return Value::text(
      {text.data(), std::strftime(text.data(), text.size(), args.positional[0].as_text()->c_str(), &local)});
}

struct Row {
  std::string_view name;
  Builtin call;
};

constexpr auto kTextMethods = std::to_array<Row>({
    {"capitalize", text_capitalize},
    {"endswith", text_has_affix<false>},
    {"find", text_find},
    {"format", text_format},
    {"join", text_join},
    {"lower", text_lower},
    {"lstrip", text_lstrip},
    {"replace", text_replace},
    {"rstrip", text_rstrip},
    {"split", text_split},
    {"startswith", text_has_affix<true>},
    {"strip", text_strip},
    {"title", text_title},
    {"upper", text_upper},
});
constexpr auto kDictMethods = std::to_array<Row>(
    {{"get", dict_get}, {"items", dict_items}, {"keys", dict_keys}, {"values", dict_values}});
constexpr auto kFunctions = std::to_array<Row>({{"dict", make_dict},
                                                {"namespace", make_namespace},
                                                {"raise_exception", raise_exception},
                                                {"range", range},
                                                {"strftime_now", strftime_now}});

template <typename Table>
Builtin find(const Table& table, std::string_view name) {
  const auto row = std::ranges::find(table, name, &Row::name);
  return row == table.end() ? nullptr : row->call;
}

}  // namespace

const Value* Arguments::get(std::size_t index, std::string_view name) const {
  if (index < positional.size()) return &positional[index];
  for (const auto& [key, value] : keywords) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::int64_t Arguments::integer(std::size_t index, std::string_view name, std::int64_t otherwise) const {
  const Value* value = get(index, name);
  return value != nullptr && value->is_integer() ? value->to_integer() : otherwise;
}

const std::string& Arguments::text(std::size_t index, std::string_view name) const {
  const Value* value = get(index, name);
  if (value == nullptr || value->as_text() == nullptr)
    throw InputError("argument '" + std::string(name) + "' must be a string");
  return *value->as_text();
}

Builtin find_method(const Value& object, std::string_view name) {
  if (object.as_text() != nullptr) return find(kTextMethods, name);
  if (object.as_dict() != nullptr) return find(kDictMethods, name);
  return nullptr;
}

Builtin find_function(std::string_view name) {
  return find(kFunctions, name);
}

Value item_of(const Value& object, const Value& key) {
  if (const Dict* dict = object.as_dict()) {
    const bool known = dict->numbered ? key.is_integer() : key.as_text() != nullptr;
    const Value* found = known ? dict->find(to_text(key)) : nullptr;
    return found == nullptr ? Value::undefined(to_text(key)) : *found;
  }
  if (object.is_undefined()) throw InputError("'" + object.as<Undefined>()->name + "' is undefined");
  if (!key.is_integer() || (object.as_list() == nullptr && object.as_text() == nullptr))
    return Value::undefined(to_text(key));
  const List items = object.as_list() != nullptr ? List() : iterate(object);
  const List& all = object.as_list() != nullptr ? *object.as_list() : items;
  const auto size = static_cast<std::int64_t>(all.size());
  const std::int64_t index = key.to_integer() < 0 ? key.to_integer() + size : key.to_integer();
  return index < 0 || index >= size ? Value::undefined(to_text(key)) : all[static_cast<std::size_t>(index)];
}

void check_size(std::size_t bytes) {
  constexpr std::size_t kMost = std::size_t{64} << 20;
  if (bytes > kMost) throw InputError("the chat template builds more than 64 MiB of text");
}

}  // namespace stepdown::tokenizer::jinja
