#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace stepdown::kube {

enum class WatchEventType { kAdded, kModified, kDeleted, kBookmark, kError };

struct WatchEvent {
  WatchEventType type = WatchEventType::kError;
  nlohmann::json object;  ///< of kError: the meta/v1 Status
};

/// Turns the bytes of a watch, in whatever pieces they come, into events: one JSON object a line.
class WatchDecoder {
 public:
  /// A line longer than this ends the watch; the API server itself stores no more than 1.5 MiB an object.
  static constexpr std::size_t kLongestLine = 16u << 20u;

  /// Calls `on_event` for each whole line; false when it returned false, or when a line is no watch event:
  /// then error() says why.
  bool feed(std::string_view bytes, const std::function<bool(WatchEvent&&)>& on_event);
  const std::string& error() const { return error_; }

 private:
  bool decode(std::string_view line, const std::function<bool(WatchEvent&&)>& on_event);

  std::string partial_;
  std::string error_;
};

}  // namespace stepdown::kube
