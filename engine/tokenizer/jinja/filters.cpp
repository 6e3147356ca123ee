#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "engine/base/error.h"
#include "engine/tokenizer/jinja/builtins.h"
#include "engine/tokenizer/jinja/sorting.h"
#include "engine/tokenizer/jinja/text.h"

namespace stepdown::tokenizer::jinja {
namespace {

Value filter_abs(const Arguments& args) {
  if (args.object().is_integer() && args.object().to_integer() != std::numeric_limits<std::int64_t>::min()) {
    return std::int64_t{std::abs(args.object().to_integer())};
  }
  return std::fabs(args.object().to_number());
}

Value filter_default(const Arguments& args) {
  const Value* otherwise = args.get(1, "default_value");
  const Value* boolean = args.get(2, "boolean");
  const bool absent =
      args.object().is_undefined() || (boolean != nullptr && boolean->truthy() && !args.object().truthy());
  if (!absent) return args.object();
  return otherwise == nullptr ? Value(std::string()) : *otherwise;
}

Value filter_float(const Arguments& args) {
  if (args.object().is_number()) return args.object().to_number();
  double value = 0;
  const std::string text = strip(to_text(args.object()), kWhitespace);
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Value filter_int(const Arguments& args) {
  const double number = args.object().is_integer() ? 0 : filter_float(args).to_number();
  if (args.object().is_integer()) return args.object().to_integer();
  return std::isfinite(number) && std::fabs(number) < 9e18 ? static_cast<std::int64_t>(number)
                                                           : std::int64_t{0};
}

Value filter_first(const Arguments& args) {
  const List items = iterate(args.object());
  return items.empty() ? Value::undefined("first item") : items.front();
}

Value filter_last(const Arguments& args) {
  const List items = iterate(args.object());
  return items.empty() ? Value::undefined("last item") : items.back();
}

Value filter_indent(const Arguments& args) {
  const Value* width = args.get(1, "width");
  const Value* first = args.get(2, "first");
  const std::string pad =
      width != nullptr && width->as_text() != nullptr
          ? *width->as_text()
          : std::string(
                static_cast<std::size_t>(std::clamp<std::int64_t>(args.integer(1, "width", 4), 0, 1000)),
                ' ');
  const std::string text = to_text(args.object());
  std::string out = first != nullptr && first->truthy() ? pad : "";
  for (std::size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    if (text[i] == '\n' && i + 1 < text.size() && text[i + 1] != '\n') out += pad;
    check_size(out.size());
  }
  return out;
}

Value filter_items(const Arguments& args) {
  List pairs;
  if (args.object().is_undefined()) return Value::list(pairs);
  const Dict* dict = args.object().as_dict();
  if (dict == nullptr) throw InputError("items needs a mapping");
  for (std::size_t i = 0; i < dict->entries.size(); ++i)
    pairs.push_back(Value::list({dict->key(i), dict->entries[i].second}));
  return Value::list(std::move(pairs));
}

Value filter_join(const Arguments& args) {
  const Value* separator = args.get(1, "d");
  const Value* attribute = args.get(2, "attribute");
  std::string out;
  bool first = true;
  for (const Value& item : iterate(args.object())) {
    if (!first && separator != nullptr) out += to_text(*separator);
    out += to_text(attribute == nullptr ? item : item_of(item, *attribute));
    first = false;
    check_size(out.size());
  }
  return out;
}

Value filter_length(const Arguments& args) {
  if (const std::string* text = args.object().as_text())
    return static_cast<std::int64_t>(count_code_points(*text));
  return static_cast<std::int64_t>(iterate(args.object()).size());
}

Value filter_list(const Arguments& args) {
  return Value::list(iterate(args.object()));
}

/// What map and select walk: they take whatever is false for nothing.
List some_items(const Value& value) {
  return value.truthy() ? iterate(value) : List();
}

/// map('filter', …), map(attribute='a', default=…)
Value filter_map(const Arguments& args) {
  const Value* attribute = args.get(std::numeric_limits<std::size_t>::max(), "attribute");
  const Value* otherwise = args.get(std::numeric_limits<std::size_t>::max(), "default");
  List out;
  for (const Value& item : some_items(args.object())) {
    if (attribute != nullptr) {
      Value value = item_of(item, *attribute);
      out.push_back(value.is_undefined() && otherwise != nullptr ? *otherwise : std::move(value));
      continue;
    }
    const Builtin filter = find_filter(args.text(1, "filter"));
    if (filter == nullptr) throw InputError("no filter named '" + args.text(1, "filter") + "'");
    Arguments inner{{item}, {}};
    inner.positional.insert(inner.positional.end(), args.positional.begin() + 2, args.positional.end());
    out.push_back(filter(inner));
  }
  return Value::list(std::move(out));
}

/// select, reject, selectattr, rejectattr: `test_at` is where the test's name stands.
template <bool kAttribute, bool kWanted>
Value filter_select(const Arguments& args) {
  constexpr std::size_t kTestAt = kAttribute ? 2 : 1;
  List out;
  for (const Value& item : some_items(args.object())) {
    const Value subject = kAttribute ? item_of(item, Value(args.text(1, "attribute"))) : item;
    bool holds = subject.truthy();
    if (args.positional.size() > kTestAt) {
      const Builtin test = find_test(args.text(kTestAt, "test"));
      if (test == nullptr) throw InputError("no test named '" + args.text(kTestAt, "test") + "'");
      Arguments inner{{subject}, {}};
      inner.positional.insert(inner.positional.end(), args.positional.begin() + kTestAt + 1,
                              args.positional.end());
      holds = test(inner).truthy();
    }
    if (holds == kWanted) out.push_back(item);
  }
  return Value::list(std::move(out));
}

Value filter_replace(const Arguments& args) {
  return replace_text(to_text(args.object()), args.text(1, "old"), args.text(2, "new"),
                      args.integer(3, "count", -1));
}

Value filter_reverse(const Arguments& args) {
  List items = iterate(args.object());
  std::ranges::reverse(items);
  if (args.object().as_text() == nullptr) return Value::list(std::move(items));
  std::string out;
  for (const Value& item : items) out += *item.as_text();
  return out;
}

Value filter_string(const Arguments& args) {
  return to_text(args.object());
}
Value filter_lower(const Arguments& args) {
  return lower(to_text(args.object()));
}
Value filter_upper(const Arguments& args) {
  return upper(to_text(args.object()));
}
Value filter_title(const Arguments& args) {
  return title(to_text(args.object()));
}
Value filter_capitalize(const Arguments& args) {
  return capitalize(to_text(args.object()));
}

Value filter_tojson(const Arguments& args) {
  const auto flag = [&args](std::size_t index, std::string_view name) {
    const Value* value = args.get(index, name);
    return value != nullptr && value->truthy();
  };
  JsonStyle style{.sort_keys = flag(4, "sort_keys"), .ascii = flag(1, "ensure_ascii")};
  if (const Value* indent = args.get(2, "indent"); indent != nullptr && !indent->is_none()) {
    style.indent = static_cast<int>(std::clamp<std::int64_t>(indent->to_integer(), 0, 16));
    style.comma = ",";
  }
  if (const Value* separators = args.get(3, "separators"); separators != nullptr && !separators->is_none()) {
    const List* pair = separators->as_list();
    if (pair == nullptr || pair->size() != 2) throw InputError("separators must be two strings");
    style.comma = to_text((*pair)[0]);
    style.colon = to_text((*pair)[1]);
  }
  return to_json_text(args.object(), style);
}

Value filter_trim(const Arguments& args) {
  const Value* chars = args.get(1, "chars");
  return strip(to_text(args.object()), chars != nullptr && chars->as_text() != nullptr
                                           ? std::string_view(*chars->as_text())
                                           : kWhitespace);
}

Value filter_unique(const Arguments& args) {
  List out;
  for (const Value& item : iterate(args.object())) {
    if (std::ranges::find(out, item) == out.end()) out.push_back(item);
  }
  return Value::list(std::move(out));
}

struct Row {
  std::string_view name;
  Builtin filter;
};

constexpr auto kFilters = std::to_array<Row>({
    {"abs", filter_abs},
    {"capitalize", filter_capitalize},
    {"count", filter_length},
    {"d", filter_default},
    {"default", filter_default},
    {"dictsort", filter_dictsort},
    {"first", filter_first},
    {"float", filter_float},
    {"indent", filter_indent},
    {"int", filter_int},
    {"items", filter_items},
    {"join", filter_join},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"lower", filter_lower},
    {"map", filter_map},
    {"max", filter_max},
    {"min", filter_min},
    {"reject", filter_select<false, false>},
    {"rejectattr", filter_select<true, false>},
    {"replace", filter_replace},
    {"reverse", filter_reverse},
    {"safe", filter_string},
    {"select", filter_select<false, true>},
    {"selectattr", filter_select<true, true>},
    {"sort", filter_sort},
    {"string", filter_string},
    {"title", filter_title},
    {"tojson", filter_tojson},
    {"trim", filter_trim},
    {"unique", filter_unique},
    {"upper", filter_upper},
});

}  // namespace

Builtin find_filter(std::string_view name) {
  const auto* row = std::ranges::find(kFilters, name, &Row::name);
  return row == kFilters.end() ? nullptr : row->filter;
}

}  // namespace stepdown::tokenizer::jinja
