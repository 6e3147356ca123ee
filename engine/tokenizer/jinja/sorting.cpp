#include "engine/tokenizer/jinja/sorting.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/tokenizer/jinja/text.h"

namespace stepdown::tokenizer::jinja {
namespace {

bool flag(const Arguments& args, std::size_t index, std::string_view name) {
  const Value* value = args.get(index, name);
  return value != nullptr && value->truthy();
}

/// What an item is ordered by.
Value key_of(const Value& item, const Value* attribute, bool case_sensitive) {
  Value key = attribute == nullptr || attribute->is_none() ? item : item_of(item, *attribute);
  return case_sensitive || key.as_text() == nullptr ? key : Value(lower(*key.as_text()));
}

List sorted(List items, const Value* attribute, bool case_sensitive, bool reverse) {
  std::ranges::stable_sort(items, [&](const Value& a, const Value& b) {
    const Value left = key_of(a, attribute, case_sensitive);
    const Value right = key_of(b, attribute, case_sensitive);
    return reverse ? less(right, left, "<") : less(left, right, "<");
  });
  return items;
}

Value extreme(const Arguments& args, bool largest) {
  const List items = iterate(args.object());
  if (items.empty()) return Value::undefined("the extreme of an empty list");
  return sorted(items, args.get(2, "attribute"), flag(args, 1, "case_sensitive"), largest).front();
}

}  // namespace

bool less(const Value& a, const Value& b, std::string_view op) {
  if (a.is_number() && b.is_number()) return a.to_number() < b.to_number();
  if (a.as_text() != nullptr && b.as_text() != nullptr) return *a.as_text() < *b.as_text();
  const List* left = a.as_list();
  const List* right = b.as_list();
  if (left != nullptr && right != nullptr) {
    return std::ranges::lexicographical_compare(
        *left, *right, [op](const Value& x, const Value& y) { return less(x, y, op); });
  }
  throw InputError("unsupported operand types for " + std::string(op) + ": '" + std::string(a.type_name()) +
                   "' and '" + std::string(b.type_name()) + "'");
}

Value filter_sort(const Arguments& args) {
  return Value::list(sorted(iterate(args.object()), args.get(3, "attribute"), flag(args, 2, "case_sensitive"),
                            flag(args, 1, "reverse")));
}

Value filter_dictsort(const Arguments& args) {
  const bool by_value = args.get(2, "by") != nullptr && args.text(2, "by") == "value";
  const Value position(std::int64_t{by_value ? 1 : 0});
  return Value::list(sorted(iterate(find_filter("items")({{args.object()}, {}})), &position,
                            flag(args, 1, "case_sensitive"), flag(args, 3, "reverse")));
}

Value filter_min(const Arguments& args) {
  return extreme(args, false);
}
Value filter_max(const Arguments& args) {
  return extreme(args, true);
}

}  // namespace stepdown::tokenizer::jinja
