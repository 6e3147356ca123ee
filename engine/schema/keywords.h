#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::schema {

// What a schema object says, keyword by keyword. All throw InputError with the JSON path.

/// Refuses keywords that are neither supported nor mere annotations.
void check_keywords(const nlohmann::ordered_json& schema, const std::string& path);
/// Keywords that narrow what is valid, as against annotations.
bool is_constraint(std::string_view keyword);
/// Keywords that hold other schemas for the same value.
bool is_combinator(std::string_view keyword);
/// The only one of them, if there is but one.
std::optional<std::string> only_constraint(const nlohmann::ordered_json& schema);
/// A keyword that narrows values of that type and no others.
bool narrows(const nlohmann::ordered_json& schema, std::string_view type);
void refuse_keywords_of_other_types(const nlohmann::ordered_json& schema,
                                    const std::vector<std::string>& types, const std::string& path);

/// All values are of one of these; "integer" is among "number".
inline constexpr std::array kPlainTypes = {"object", "array", "string", "number", "boolean", "null"};
/// Empty when `type` is absent.
std::vector<std::string> types_of(const nlohmann::ordered_json& schema, const std::string& path);
std::set<std::string> names_of(const nlohmann::ordered_json& schema, const std::string& path);
std::int64_t count_of(const nlohmann::ordered_json& schema, const char* keyword, std::int64_t otherwise,
                      const std::string& path);
/// What a schema says of the rest of a container, and the keyword that says so. Where nothing but the schema
/// itself looks into the container, what `unevaluated` is about is the rest that `plain` leaves.
std::pair<std::string, nlohmann::ordered_json> rest_of(const nlohmann::ordered_json& schema,
                                                       const char* plain, const char* unevaluated);
/// Regexes of what a string may be, and of what is generated.
struct StringRules {
  std::string meant;
  std::string written;
};
/// Those of names that have a pattern, a format or a length, and of nothing else; empty otherwise.
StringRules name_rules(const nlohmann::ordered_json& schema, const std::string& path);
/// Those of `pattern` or of a known `format`; empty when there is none.
StringRules pattern_of(const nlohmann::ordered_json& schema, const std::string& path);

}  // namespace stepdown::schema
