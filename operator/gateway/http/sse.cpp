#include "operator/gateway/http/sse.h"

#include <utility>

namespace stepdown::gateway {

bool SseDecoder::feed(std::string_view bytes, std::vector<std::string>& events) {
  for (const char c : bytes) {
    const bool second_half = after_cr_ && c == '\n';
    after_cr_ = c == '\r';
    if (second_half) continue;
    if (c == '\n' || c == '\r') {
      end_line(events);
    } else {
      if (line_.size() + data_.size() >= kLongestEvent) return false;
      line_ += c;
    }
  }
  return true;
}

void SseDecoder::end_line(std::vector<std::string>& events) {
  if (line_.empty()) {
    if (has_data_) events.push_back(std::exchange(data_, {}));
    has_data_ = false;
    return;
  }
  std::string_view line = line_;
  if (line.starts_with("data")) {
    line.remove_prefix(4);
    if (line.empty() || line.front() == ':') {
      if (!line.empty()) line.remove_prefix(1);
      if (line.starts_with(' ')) line.remove_prefix(1);
      if (has_data_) data_ += '\n';
      data_ += line;
      has_data_ = true;
    }
  }
  line_.clear();
}

std::string sse_event(std::string_view data) {
  std::string event = "data: ";
  event += data;
  event += "\n\n";
  return event;
}

}  // namespace stepdown::gateway
