#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/schema/schema.h"

namespace stepdown::server {

/// Turns the bytes of tokens into text that may be sent: whole code points, and nothing that may still turn
/// out to be the start of a stop string. Where the answer must be of a language, a stop string ends it only
/// if the text before is whole there: what ends by `stop` is always valid. Bytes that can be no UTF-8 become
/// U+FFFD.
class AnswerText {
 public:
  /// `language`: where it stands before the answer; nullopt: any text will do.
  explicit AnswerText(std::vector<std::string> stops,
                      std::optional<schema::PrefixMatcher> language = std::nullopt)
      : stops_(std::move(stops)), language_(std::move(language)) {}

  /// The text that is now certain. After a stop string was met, nothing more comes.
  std::string push(std::string_view bytes);
  /// What was held back, at the end of the answer.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::string take(std::size_t count);
  /// Where the first stop string is that ends the answer; npos: there is none.
  std::size_t find_stop() const;
  bool whole_before(std::size_t at) const;

  std::vector<std::string> stops_;
  std::optional<schema::PrefixMatcher> language_;  ///< behind what was taken
  std::string held_;
  bool stopped_ = false;
};

}  // namespace stepdown::server
