#pragma once

#include <map>
#include <string>
#include <string_view>

namespace stepdown::fetch {

/// Where files lie, as users write it:
///   oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]      oci+http:// without TLS
///   s3://BUCKET[/PREFIX or KEY][?endpoint=URL&region=NAME&style=path|virtual]
///   hf://[datasets/]OWNER/NAME[@REVISION][/PATH][?endpoint=URL]
struct Source {
  std::string text;    ///< as it was given
  std::string kind;    ///< "oci", "s3" or "hf"
  bool plain = false;  ///< oci+http: the source itself asks for no TLS
  std::string path;    ///< between "://" and '?'
  std::map<std::string, std::string> options;

  std::string option(const std::string& name) const;
};

/// Throws InputError that names the text.
Source parse_source(std::string_view text);

/// Whether the source has to be fetched: a scheme of the table above.
bool is_remote(std::string_view text);

}  // namespace stepdown::fetch
