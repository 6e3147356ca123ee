#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace stepdown::schema {

/// One schema that is valid for exactly what both are valid for; false where that is nothing. Of schemas
/// without references and combinators, but for what `negated` leaves; annotations are left out. Throws
/// InputError with the path for what no one schema can say.
nlohmann::ordered_json merged(const nlohmann::ordered_json& a, const nlohmann::ordered_json& b,
                              const std::string& path);

}  // namespace stepdown::schema
