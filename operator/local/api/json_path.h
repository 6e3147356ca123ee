#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::local::api {

/// The part of JSONPath that printer columns use: .a.b, ['a'], [0], [*], [?(@.type=="Ready")].
class JsonPath {
 public:
  /// Throws ApiError 400.
  explicit JsonPath(std::string_view text);
  std::vector<const nlohmann::json*> find(const nlohmann::json& root) const;

 private:
  struct Step {
    enum class Kind { kField, kIndex, kAll, kFilter } kind;
    std::string name;  ///< field
    long long index = 0;
    std::vector<std::string> filter_path;  ///< below @
    std::string op;                        ///< == or !=; empty: exists
    std::string literal;                   ///< JSON text
  };
  static Step bracket(std::string_view inside, std::string_view whole);
  std::vector<Step> steps_;
};

}  // namespace stepdown::local::api
