#pragma once

#include <filesystem>
#include <mutex>

#include "engine/base/progress.h"
#include "engine/fetch/remote.h"

namespace stepdown::fetch {

/// Counts the bytes of several transfers on one bar.
class Meter {
 public:
  explicit Meter(std::uint64_t total) : progress_("fetch", total, " B") {}

  void add(std::uint64_t bytes);
  void note(const std::string& text);

 private:
  std::mutex mutex_;
  Progress progress_;
};

struct Transfer {
  std::uint64_t kept = 0;     ///< bytes that an earlier run left
  std::uint64_t fetched = 0;  ///< bytes that came now
};

/// Fetches `file` to `part`, going on behind what lies there, and checks it: its size, and its checksum where
/// the source tells one. Durable when it returns. Throws InputError for bytes that are not what was promised,
/// and for what the source refuses; NetworkError once enough was tried.
Transfer download(const Http& http, const RetryPolicy& retries, Remote& remote, const RemoteFile& file,
                  const std::filesystem::path& part, Meter& meter, const std::string& where);

/// First byte and whole size by a Content-Range header; nullopt: not such a header.
struct ContentRange {
  std::uint64_t first = 0;
  std::uint64_t total = 0;
};
std::optional<ContentRange> parse_content_range(std::string_view text);

}  // namespace stepdown::fetch
