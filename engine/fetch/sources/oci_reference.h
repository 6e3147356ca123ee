#pragma once

#include <map>
#include <string>
#include <string_view>

namespace stepdown::fetch {

/// A name in a registry: "ghcr.io/org/model:v1", "localhost:5000/model@sha256:…".
struct OciReference {
  std::string host;  ///< with its port, if it has one
  std::string repository;
  std::string tag;     ///< "latest" where neither tag nor digest is given
  std::string digest;  ///< "sha256:…"; wins over the tag

  const std::string& reference() const { return digest.empty() ? tag : digest; }
};

/// Throws InputError that says what is wrong with it.
OciReference parse_oci_reference(std::string_view text);

/// A WWW-Authenticate header: scheme in lower case, and its parameters.
struct Challenge {
  std::string scheme;
  std::map<std::string, std::string> parameters;
};
Challenge parse_challenge(std::string_view header);

}  // namespace stepdown::fetch
