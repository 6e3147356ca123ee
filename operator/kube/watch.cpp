#include "operator/kube/watch.h"

#include <array>
#include <optional>
#include <utility>

#include "operator/kube/json_text.h"

namespace stepdown::kube {
namespace {

constexpr std::array<std::pair<std::string_view, WatchEventType>, 5> kTypes = {{
    {"ADDED", WatchEventType::kAdded},
    {"MODIFIED", WatchEventType::kModified},
    {"DELETED", WatchEventType::kDeleted},
    {"BOOKMARK", WatchEventType::kBookmark},
    {"ERROR", WatchEventType::kError},
}};

std::optional<WatchEventType> type_from(std::string_view name) {
  for (const auto& [known, type] : kTypes) {
    if (known == name) return type;
  }
  return std::nullopt;
}

}  // namespace

bool WatchDecoder::feed(std::string_view bytes, const std::function<bool(WatchEvent&&)>& on_event) {
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    if (partial_.size() + std::min(newline, bytes.size()) > kLongestLine) {
      error_ = "a watch event is longer than 16 MiB";
      return false;
    }
    if (newline == std::string_view::npos) {
      partial_ += bytes;
      return true;
    }
    bool go_on = true;
    if (partial_.empty()) {
      go_on = decode(bytes.substr(0, newline), on_event);
    } else {
      partial_ += bytes.substr(0, newline);
      go_on = decode(partial_, on_event);
      partial_.clear();
    }
    if (!go_on) return false;
    bytes.remove_prefix(newline + 1);
  }
  return true;
}

bool WatchDecoder::decode(std::string_view line, const std::function<bool(WatchEvent&&)>& on_event) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return true;
  nlohmann::json frame = nlohmann::json::parse(without_managed_fields(line), nullptr, false);
  if (!frame.is_object() || !frame.contains("type") || !frame["type"].is_string() ||
      !frame.contains("object") || !frame["object"].is_object()) {
    error_ = "a line of the watch is no event: " + std::string(line.substr(0, 80));
    return false;
  }
  const auto type = type_from(frame["type"].get_ref<const std::string&>());
  if (!type) {
    error_ = "unknown watch event type " + frame["type"].get<std::string>().substr(0, 40);
    return false;
  }
  return on_event({*type, std::move(frame["object"])});
}

}  // namespace stepdown::kube
