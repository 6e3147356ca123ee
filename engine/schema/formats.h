#pragma once

#include <string_view>

namespace stepdown::schema {

/// A value of `format` that strings are held to.
struct Format {
  std::string_view name;
  std::string_view meant;    ///< regex of what is valid
  std::string_view written;  ///< of what is generated; empty: the same. Lengths that span parts are kept so.
};

/// Null for formats that are not supported.
const Format* find_format(std::string_view name);

}  // namespace stepdown::schema
