#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "operator/gateway/judge/stream_judge.h"
#include "operator/gateway/proxy/proxy.h"

namespace stepdown::gateway {

/// One client's stream, fed by one engine and, should that fail, by FP16. Each engine's chunks are judged
/// before they are shown: of a quantized revision the first few are held together, and the last until the
/// whole is judged.
class StreamRelay {
 public:
  StreamRelay(Proxy& proxy, Exchange& exchange, Job& job) : proxy_(proxy), exchange_(exchange), job_(job) {}

  /// How one engine's part ended.
  struct End {
    Fault fault = Fault::kNone;
    bool complete = false;         ///< the client has the whole stream
    bool client_gone = false;      ///< and nothing is learnt
    std::optional<Asked> refusal;  ///< the engine gave no stream; nothing was shown of its answer
    double mean_logprob = std::numeric_limits<double>::quiet_NaN();
  };

  /// Who feeds the stream next.
  struct Source {
    Arm arm = Arm::kFp16;
    std::string digest;
    std::string body;
    Priority priority = Priority::kFirst;
    std::size_t held_chunks = 1;
    std::string_view retried;  ///< why it took over; empty: it is the first
  };
  Task<End> feed(Source source);

  bool released() const { return released_; }
  const std::string& text() const { return text_; }
  std::size_t tokens() const { return tokens_; }
  /// The time that the engine had to wait for a client that reads slowly.
  double blocked_ms() const { return std::chrono::duration<double, std::milli>(blocked_).count(); }
  /// Ends a released stream with an error event: the client must not take it for whole.
  Task<> fail(std::string_view message);

 private:
  struct Held {
    std::string data;
    std::size_t text_size;
  };
  Task<bool> flush(const Source& source, const StreamJudge& judge, std::vector<Held>& held);
  Task<bool> finish(const Source& source, const StreamJudge& judge, std::vector<Held>& held);
  Task<End> close(const Source& source, const StreamJudge& judge, std::vector<Held>& held);
  std::optional<std::string> as_continued(nlohmann::json chunk, const Source& source);

  Proxy& proxy_;
  Exchange& exchange_;
  Job& job_;
  bool released_ = false;
  std::string text_;  // what the client has
  std::size_t tokens_ = 0;
  std::chrono::steady_clock::duration blocked_{};
  std::string revision_;
  nlohmann::json first_chunk_;  // its id and date go on all chunks
};

}  // namespace stepdown::gateway
