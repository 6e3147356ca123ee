#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::schema {

// What a schema object says, keyword by keyword. All throw InputError with the JSON path.

/// Refuses keywords that are neither supported nor mere annotations.
void check_keywords(const nlohmann::ordered_json& schema, const std::string& path);
/// Keywords that narrow what is valid, as against annotations.
bool is_constraint(std::string_view keyword);
std::optional<std::string> first_constraint(const nlohmann::ordered_json& schema);
/// A combinator stands alone but for annotations.
void refuse_siblings(const nlohmann::ordered_json& schema, std::string_view combinator,
                     const std::string& path);
void refuse_keywords_of_other_types(const nlohmann::ordered_json& schema,
                                    const std::vector<std::string>& types, const std::string& path);

/// Empty when `type` is absent.
std::vector<std::string> types_of(const nlohmann::ordered_json& schema, const std::string& path);
std::set<std::string> names_of(const nlohmann::ordered_json& schema, const std::string& path);
std::int64_t count_of(const nlohmann::ordered_json& schema, const char* keyword, std::int64_t otherwise,
                      const std::string& path);
/// Regexes of what a string may be, and of what is generated.
struct StringRules {
  std::string meant;
  std::string written;
};
/// Those of `pattern` or of a known `format`; empty when there is none.
StringRules pattern_of(const nlohmann::ordered_json& schema, const std::string& path);

}  // namespace stepdown::schema
