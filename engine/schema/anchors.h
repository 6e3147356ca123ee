#pragma once

#include <map>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::schema {

/// The places that a schema names by `$anchor`, as JSON pointers. Those within a schema of an `$id` of its
/// own are named there alone. Of a name that is given twice nothing is told. A schema nests so deep at most
/// that it may be walked recursively. Throws InputError where the pointers are too long together.
std::map<std::string, std::string> anchors_of(const nlohmann::ordered_json& schema);

/// Whether what a keyword holds is no schema: values, as they stand in documents.
bool holds_values(const std::string& keyword);
/// Whether what a keyword holds are schemas by names of the author's own, so that those are no keywords.
bool holds_named_schemas(const std::string& keyword);

}  // namespace stepdown::schema
