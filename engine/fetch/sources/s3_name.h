#pragma once

#include <string>
#include <string_view>

namespace stepdown::fetch {

/// s3://BUCKET[/PREFIX]
struct S3Name {
  std::string bucket;
  std::string prefix;  ///< empty: all
};
/// Throws InputError.
S3Name parse_s3_name(std::string_view path, const std::string& where);

}  // namespace stepdown::fetch
