#include "engine/schema/schema_merge.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <numeric>
#include <set>
#include <span>
#include <string_view>

#include "engine/base/error.h"
#include "engine/schema/grammar.h"
#include "engine/schema/keywords.h"
#include "engine/schema/value_set.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

/// Both at once, to be merged when it is compiled.
ordered_json both(const ordered_json& a, const ordered_json& b) {
  if (a == true || a == b) return b;
  if (b == true) return a;
  return {{"allOf", ordered_json::array({a, b})}};
}

bool has_any(const ordered_json& schema, std::span<const char* const> keywords) {
  return std::ranges::any_of(keywords, [&schema](const char* keyword) { return schema.contains(keyword); });
}

[[noreturn]] void refuse(const std::string& keyword, const std::string& path) {
  throw InputError("two of '" + keyword + "' cannot be merged", path, "write them as one");
}

class Merge {
 public:
  Merge(const ordered_json& a, const ordered_json& b, const std::string& path) : a_(a), b_(b), path_(path) {}

  ordered_json run() {
    if (!types() || !values()) return false;
    for (const char* keyword : {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
      tighter(keyword, [](const ordered_json& x, const ordered_json& y) { return x < y; });
    for (const char* keyword : {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
      tighter(keyword, [](const ordered_json& x, const ordered_json& y) { return y < x; });
    join("multipleOf", [this](const ordered_json& x, const ordered_json& y) { return multiple(x, y); });
    join("uniqueItems", [](const ordered_json& x, const ordered_json& y) { return x == true || y == true; });
    join("propertyNames", both);
    join("required", [this](const ordered_json&, const ordered_json&) {
      return united(list_of(a_, "required", {}), list_of(b_, "required", {}));
    });
    join("not", [](const ordered_json& x, const ordered_json& y) {
      return ordered_json{{"enum", united(x["enum"], y["enum"])}};
    });
    properties();
    items();
    contained();
    for (const ordered_json* from : {&a_, &b_}) {  // what only one of them says, or both alike
      for (const auto& [keyword, value] : from->items()) {
        if (done_.contains(keyword) || !is_constraint(keyword)) continue;
        if (out_.contains(keyword) && out_[keyword] != value) refuse(keyword, path_);
        out_[keyword] = value;
      }
    }
    return out_;
  }

 private:
  template <typename Joined>
  void join(const char* keyword, const Joined& joined) {
    if (!a_.contains(keyword) || !b_.contains(keyword)) return;
    out_[keyword] = joined(a_[keyword], b_[keyword]);
    done_.insert(keyword);
  }

  template <typename Below>
  void tighter(const char* keyword, const Below& below) {
    join(keyword, [&](const ordered_json& x, const ordered_json& y) {
      if (!x.is_number() || !y.is_number())
        throw InputError("'" + std::string(keyword) + "' must be a number", path_ + "/" + keyword);
      return below(x, y) ? y : x;
    });
  }

  ordered_json multiple(const ordered_json& x, const ordered_json& y) const {
    constexpr std::int64_t kMost = 1'000'000'000;
    const auto small = [](const ordered_json& value) {
      return value.is_number_integer() && value.get<std::int64_t>() > 0 && value.get<std::int64_t>() <= kMost;
    };
    if (x == y) return x;
    if (!small(x) || !small(y)) refuse("multipleOf", path_);
    return std::lcm(x.get<std::int64_t>(), y.get<std::int64_t>());
  }

  /// A keyword's list; `otherwise` where there is none.
  ordered_json list_of(const ordered_json& schema, const char* keyword, ordered_json otherwise) const {
    if (!schema.contains(keyword)) return otherwise;
    if (schema[keyword].is_array()) return schema[keyword];
    throw InputError("'" + std::string(keyword) + "' must be a list", path_ + "/" + keyword);
  }

  static ordered_json united(const ordered_json& x, const ordered_json& y) {
    ordered_json all = x;
    ValueSet known(x);
    for (const ordered_json& each : y) {
      if (known.add(each)) all.push_back(each);
    }
    return all;
  }

  bool types() {
    if (!a_.contains("type") || !b_.contains("type")) return true;
    const std::vector<std::string> of_a = types_of(a_, path_);
    const std::vector<std::string> of_b = types_of(b_, path_);
    ordered_json types = ordered_json::array();
    const auto has = [](const std::vector<std::string>& all, const char* type) {
      return std::ranges::find(all, type) != all.end();
    };
    for (const std::string& type : of_a) {
      const bool narrowed = type == "number" && !has(of_b, "number") && has(of_b, "integer");
      const bool kept = has(of_b, type.c_str()) || (type == "integer" && has(of_b, "number"));
      if (kept || narrowed) types.push_back(narrowed ? "integer" : type);
    }
    out_["type"] = united(ordered_json::array(), types);
    done_.insert("type");
    return !types.empty();
  }

  /// Values that `enum` and `const` allow; null: all.
  ordered_json listed(const ordered_json& schema) const {
    const ordered_json list = list_of(schema, "enum", nullptr);
    if (!schema.contains("const")) return list;
    const bool allowed = list.is_null() || ValueSet(list).contains(schema["const"]);
    return allowed ? ordered_json::array({schema["const"]}) : ordered_json::array();
  }

  bool values() {
    const ordered_json of_a = listed(a_);
    const ordered_json of_b = listed(b_);
    done_.insert({"enum", "const"});
    if (of_a.is_null() && of_b.is_null()) return true;
    ordered_json values = of_a.is_null() ? of_b : of_a;
    if (!of_a.is_null() && !of_b.is_null()) {
      values = ordered_json::array();
      const ValueSet allowed(of_b);
      std::ranges::copy_if(of_a, std::back_inserter(values),
                           [&allowed](const ordered_json& value) { return allowed.contains(value); });
    }
    out_["enum"] = std::move(values);
    return !out_["enum"].empty();
  }

  void properties() {
    static constexpr std::array kOf = {"properties", "additionalProperties", "unevaluatedProperties",
                                       "patternProperties"};
    if (!has_any(a_, kOf) || !has_any(b_, kOf)) return;
    if (a_.contains("patternProperties") || b_.contains("patternProperties"))
      refuse("patternProperties", path_);
    const ordered_json of_a = a_.value("properties", ordered_json::object());
    const ordered_json of_b = b_.value("properties", ordered_json::object());
    if (!of_a.is_object() || !of_b.is_object())
      throw InputError("'properties' must be an object", path_ + "/properties");
    const ordered_json rest_a = rest_of(a_, "additionalProperties", "unevaluatedProperties").second;
    const ordered_json rest_b = rest_of(b_, "additionalProperties", "unevaluatedProperties").second;
    ordered_json all = ordered_json::object();
    for (const auto& [name, value] : of_a.items())
      all[name] = both(value, of_b.contains(name) ? of_b[name] : rest_b);
    for (const auto& [name, value] : of_b.items()) {
      if (!of_a.contains(name)) all[name] = both(rest_a, value);
    }
    out_["properties"] = std::move(all);
    out_["additionalProperties"] = both(rest_a, rest_b);
    for (const char* keyword : kOf) done_.insert(keyword);
  }

  void items() {
    static constexpr std::array kOf = {"prefixItems", "items", "unevaluatedItems"};
    if (!has_any(a_, kOf) || !has_any(b_, kOf)) return;
    const ordered_json of_a = list_of(a_, "prefixItems", ordered_json::array());
    const ordered_json of_b = list_of(b_, "prefixItems", ordered_json::array());
    const ordered_json rest_a = rest_of(a_, "items", "unevaluatedItems").second;
    const ordered_json rest_b = rest_of(b_, "items", "unevaluatedItems").second;
    ordered_json all = ordered_json::array();
    for (std::size_t i = 0; i < std::max(of_a.size(), of_b.size()); ++i)
      all.push_back(both(i < of_a.size() ? of_a[i] : rest_a, i < of_b.size() ? of_b[i] : rest_b));
    if (!all.empty()) out_["prefixItems"] = std::move(all);
    out_["items"] = both(rest_a, rest_b);
    for (const char* keyword : kOf) done_.insert(keyword);
  }

  /// Counts beside no `contains` say nothing, and must not be taken for the other's.
  void contained() {
    static constexpr std::array kOf = {"contains", "minContains", "maxContains"};
    const bool of_a = a_.contains("contains");
    const bool of_b = b_.contains("contains");
    for (const char* keyword : kOf) done_.insert(keyword);
    if (of_a && of_b) {
      if (a_["contains"] != b_["contains"]) refuse("contains", path_);
      out_["contains"] = a_["contains"];
      out_["minContains"] =
          std::max(count_of(a_, "minContains", 1, path_), count_of(b_, "minContains", 1, path_));
      const std::int64_t most = std::min(count_of(a_, "maxContains", kUnbounded, path_),
                                         count_of(b_, "maxContains", kUnbounded, path_));
      if (most != kUnbounded) out_["maxContains"] = most;
      return;
    }
    const ordered_json& from = of_a ? a_ : b_;
    for (const char* keyword : kOf) {
      if ((of_a || of_b) && from.contains(keyword)) out_[keyword] = from[keyword];
    }
  }

  const ordered_json& a_;
  const ordered_json& b_;
  const std::string& path_;
  ordered_json out_ = ordered_json::object();
  std::set<std::string> done_;
};

}  // namespace

ordered_json merged(const ordered_json& a, const ordered_json& b, const std::string& path) {
  return Merge(a, b, path).run();
}

}  // namespace stepdown::schema
