#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/judge/form_watch.h"
#include "operator/gateway/judge/judgement.h"
#include "operator/gateway/judge/loop_detector.h"

namespace stepdown::gateway {

/// Judges a streamed answer chunk by chunk. `accepted()` is the text that may be shown.
class StreamJudge {
 public:
  /// `prefix`: text that an earlier variant already showed and this stream continues.
  /// FP16's form is judged at the end alone: nobody else could go on from where it is cut.
  StreamJudge(const Expectation& expected, std::string_view prefix, bool of_fp16 = false);

  /// One chunk of the stream ("data: {…}"). A fault means: do not show this chunk. kLooping in a chunk is the
  /// exception, its text counts as accepted: what led there was shown before.
  Fault add(const nlohmann::json& chunk);
  /// The stream ended: after [DONE], or because the connection did.
  Fault finish(const Calibration& control) const;

  const std::string& accepted() const { return accepted_; }
  /// Whether FP16 could go on from the accepted text.
  bool continuable() const { return form_.continuable(); }
  std::size_t content_chunks() const { return content_chunks_; }
  bool finished() const { return !finish_reason_.empty(); }
  const std::string& finish_reason() const { return finish_reason_; }
  double mean_logprob() const { return mean_logprob_; }

 private:
  Fault add_text(std::string_view text);

  bool chat_;
  bool of_fp16_;
  schema::AnswerLanguage language_;
  std::string written_;
  FormWatch form_;
  LoopDetector loops_;
  std::string accepted_;
  std::string finish_reason_;
  std::size_t content_chunks_ = 0;
  bool tool_calls_ = false;
  bool more_ = false;  ///< reasoning or a refusal
  double mean_logprob_ = std::numeric_limits<double>::quiet_NaN();
};

}  // namespace stepdown::gateway
