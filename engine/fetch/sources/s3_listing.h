#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown::fetch {

struct S3Object {
  std::string key;
  std::uint64_t size = 0;
  std::string etag;  ///< without its quotes
};

struct S3Page {
  std::vector<S3Object> objects;
  std::string next;  ///< continuation token; empty: the last page
};

/// A ListObjectsV2 answer that was asked for with encoding-type=url. Throws InputError for what is none.
S3Page read_s3_listing(std::string_view xml, const std::string& where);

/// Code and message of S3's error document; empty where it is none.
std::string read_s3_error(std::string_view xml);

}  // namespace stepdown::fetch
