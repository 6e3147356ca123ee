#pragma once

#include <string_view>

namespace stepdown::local::api {

/// Whether `text` has the OpenAPI format; formats that Kubernetes does not check are always had.
bool has_format(std::string_view text, std::string_view format);

bool is_dns_label(std::string_view text);      ///< RFC 1123 label, ≤ 63
bool is_dns_subdomain(std::string_view text);  ///< ≤ 253
/// "prefix/name" or "name", as label and annotation keys and finalizers are.
bool is_qualified_name(std::string_view text);
bool is_label_value(std::string_view text);

}  // namespace stepdown::local::api
