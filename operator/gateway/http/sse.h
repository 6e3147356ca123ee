#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown::gateway {

/// Cuts a text/event-stream (WHATWG HTML, "Server-sent events"), in whatever pieces it comes, into the data
/// of its events. Comments and other fields are dropped, as the OpenAI API uses data alone.
class SseDecoder {
 public:
  static constexpr std::size_t kLongestEvent = 4U << 20U;  ///< bytes

  /// Appends the data of each event that `bytes` completes. False: an event over kLongestEvent.
  bool feed(std::string_view bytes, std::vector<std::string>& events);

 private:
  void end_line(std::vector<std::string>& events);

  std::string line_;
  std::string data_;
  bool has_data_ = false;
  bool after_cr_ = false;
};

/// "data: …\n\n"
std::string sse_event(std::string_view data);

}  // namespace stepdown::gateway
