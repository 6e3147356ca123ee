#include "engine/fetch/sources/s3_name.h"

#include "engine/base/error.h"

namespace stepdown::fetch {

S3Name parse_s3_name(std::string_view path, const std::string& where) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  const auto slash = path.find('/');
  S3Name out{.bucket = std::string(path.substr(0, slash))};
  if (slash != std::string_view::npos) out.prefix = std::string(path.substr(slash + 1));
  if (out.bucket.empty() || out.bucket.front() == '.' ||
      out.bucket.find_first_not_of(kAllowed) != std::string::npos) {
    throw InputError("not a bucket: " + out.bucket, where, "give s3://bucket/prefix");
  }
  return out;
}

}  // namespace stepdown::fetch
