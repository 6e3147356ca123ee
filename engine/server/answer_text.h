#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stepdown::server {

/// Turns the bytes of tokens into text that may be sent: whole code points, and nothing that may still turn
/// out to be the start of a stop string. Bytes that can be no UTF-8 become U+FFFD.
class AnswerText {
 public:
  explicit AnswerText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// The text that is now certain. After a stop string was met, nothing more comes.
  std::string push(std::string_view bytes);
  /// What was held back, at the end of the answer.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::string take(std::size_t count);

  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace stepdown::server
