#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::local::api {

/// Label selector in the query-string syntax: "a=b,c!=d,e in (f,g),h notin (i),j,!k".
class LabelSelector {
 public:
  LabelSelector() = default;
  /// Throws ApiError 400.
  explicit LabelSelector(std::string_view text);
  /// `object`: a whole API object.
  bool matches(const nlohmann::json& object) const;
  bool empty() const { return terms_.empty(); }

 private:
  enum class Operator { kIn, kNotIn, kExists, kAbsent, kGreater, kLess };
  struct Term {
    std::string key;
    Operator op;
    std::vector<std::string> values;
  };
  std::vector<Term> terms_;
};

/// Field selector: "metadata.name=x,status.phase!=Running".
class FieldSelector {
 public:
  FieldSelector() = default;
  explicit FieldSelector(std::string_view text);
  bool matches(const nlohmann::json& object) const;
  bool empty() const { return terms_.empty(); }
  /// Throws ApiError 400 when a field cannot be selected on `plural`.
  void check_supported(std::string_view plural, bool custom) const;
  /// The value that "metadata.name=" asks for; empty when it does not.
  std::string name() const;

 private:
  struct Term {
    std::string path;
    std::string value;
    bool equal;
  };
  std::vector<Term> terms_;
};

}  // namespace stepdown::local::api
