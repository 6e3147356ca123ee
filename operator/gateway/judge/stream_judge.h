#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/judge/judgement.h"
#include "operator/gateway/judge/loop_detector.h"

namespace stepdown::gateway {

/// Judges a streamed answer chunk by chunk. `accepted()` is the text that may be shown: for structured
/// answers it never leaves the prefix language of the schema, so that another variant can always continue it.
class StreamJudge {
 public:
  /// `prefix`: text that an earlier variant already showed and this stream continues.
  StreamJudge(const Expectation& expected, std::string_view prefix);

  /// One chunk of the stream ("data: {…}"). A fault means: do not show this chunk. kLooping in a chunk is the
  /// exception, its text counts as accepted: what led there was shown before.
  Fault add(const nlohmann::json& chunk);
  /// The stream ended: after [DONE], or because the connection did.
  Fault finish(const Calibration& control) const;

  const std::string& accepted() const { return accepted_; }
  std::size_t content_chunks() const { return content_chunks_; }
  bool finished() const { return !finish_reason_.empty(); }
  const std::string& finish_reason() const { return finish_reason_; }
  double mean_logprob() const { return mean_logprob_; }

 private:
  Fault add_text(std::string_view text);

  bool chat_;
  std::optional<schema::PrefixMatcher> matcher_;
  LoopDetector loops_;
  std::string accepted_;
  std::string finish_reason_;
  std::size_t content_chunks_ = 0;
  bool tool_calls_ = false;
  double mean_logprob_ = std::numeric_limits<double>::quiet_NaN();
};

}  // namespace stepdown::gateway
