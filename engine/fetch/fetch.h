#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "engine/fetch/remote.h"

namespace stepdown::fetch {

struct FetchOptions {
  std::string source;
  std::string revision;       ///< tag, branch, commit or digest; empty: the source's own
  std::string digest;         ///< "sha256:…" that the result must have (artifact_digest); empty: any
  std::filesystem::path out;  ///< folder that appears once everything is there and checked
  std::filesystem::path credentials;
  std::string ca_file;
  int parallel = 4;
  RetryPolicy retries;
};

struct FetchResult {
  std::string resolved;        ///< the source, pinned
  std::filesystem::path path;  ///< `out`, or the one file in it
  std::uint64_t size = 0;
  std::size_t files = 0;
  std::uint64_t fetched = 0;  ///< bytes that came over the network now
  std::uint64_t kept = 0;     ///< bytes that an earlier run left
  bool was_there = false;     ///< whole already; nobody was asked
};

/// What lies at the source, without fetching it.
Listing resolve_source(const FetchOptions& options);

/// Fetches everything to a hidden folder beside `out`, checks it and renames it to `out`. One that was killed
/// goes on where it was; two at once wait for each other. Throws InputError, NetworkError, Error.
FetchResult fetch(const FetchOptions& options);

}  // namespace stepdown::fetch
