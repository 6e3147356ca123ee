#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>

#include <nlohmann/json.hpp>

#include "operator/gateway/http/server.h"
#include "operator/gateway/judge/calibration.h"
#include "operator/gateway/judge/expectation.h"
#include "operator/gateway/judge/judgement.h"
#include "operator/gateway/metrics.h"
#include "operator/gateway/proxy/access_log.h"
#include "operator/gateway/proxy/trace_context.h"
#include "operator/gateway/route/traffic.h"
#include "operator/gateway/upstream/upstreams.h"

namespace stepdown::gateway {

/// One completion request from its arrival to its outcome.
struct Job {
  Request client;
  nlohmann::ordered_json body;
  Expectation expected;
  std::string id;
  TraceContext trace;
  std::stop_token gone;  ///< its client hung up
  Traffic::Assignment assignment;
  SteadyTime started;
  SteadyTime deadline;       ///< of the engine that is asked now
  std::optional<double> ms;  ///< that the first engine took
  AccessRecord record;

  bool quantized() const { return assignment.arm != Arm::kFp16; }
};

inline double ms_since(SteadyTime start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

/// What one engine made of a whole request.
struct Asked {
  Judgement judgement;
  Response response;   ///< to the client, should it be the one
  bool counts = true;  ///< false: not the revision's doing (no room, no engine, a crash counted already)
  bool unreachable = false;  ///< no answer came
  bool given_up = false;     ///< the client hung up before one came
};

/// Answers completion requests: splits them, judges what the engines say, asks FP16 again where a quantized
/// revision failed before its client sees anything, and reports every outcome to Traffic.
class Proxy : public std::enable_shared_from_this<Proxy> {
 public:
  struct Limits {
    std::size_t in_flight = 2048;
    std::chrono::milliseconds request{300'000};  ///< for a whole answer; half of it for the first try
    std::chrono::milliseconds fp16_restart{
        10'000};                      ///< that a request waits for an engine of FP16 to be there
    std::size_t answer = 64U << 20U;  ///< bytes
    std::size_t held_chunks = 8;      ///< of a quantized revision's stream, judged before the first is shown
    std::size_t shadows = 8;          ///< at a time
    std::chrono::milliseconds long_wait{5'000};  ///< after which a client that hangs up may have met a hang
    AccessLog access_log = AccessLog::kSampled;
  };
  Proxy(asio::io_context& io, Traffic& traffic, std::shared_ptr<Upstreams> upstreams, Metrics& metrics,
        Limits limits, std::uint64_t seed);

  /// POST /v1/chat/completions and /v1/completions.
  Task<> complete(Exchange& exchange, bool chat);
  /// Anything else that engines answer, from FP16 where it can be reached, else from what is stable.
  /// Embeddings too: those that are stored and those that are compared with them should come from one model.
  Task<> forward(Exchange& exchange);

  std::size_t in_flight() const { return in_flight_; }

 private:
  friend class StreamRelay;

  Task<> admit(Exchange& exchange, Job& job, bool chat);
  Task<> complete_whole(Exchange& exchange, Job& job);
  Task<> complete_stream(Exchange& exchange, Job& job);
  /// A request to an engine: a hop of the job's trace.
  Request hop(Job& job, const std::string& digest, std::string body);
  Task<Asked> ask(Job& job, std::string digest, Priority priority, std::string body);
  Task<Asked> read_whole(const Job& job, const std::string& digest, Upstreams::Call& call);
  Task<Asked> ask_fp16_again(Job& job);
  /// FP16 was needed for a client, and no engine of it is there.
  void note_missing(const std::string& digest, const Upstreams::Failure& failure);
  Asked no_answer(const Upstreams::Failure& failure) const;
  Task<> answer(Exchange& exchange, Job& job, Asked asked, Arm arm, std::string_view retried);
  /// Who answered, with what status, in the end.
  void answered(Job& job, Arm arm, int status, std::string_view retried);
  void log_access(Job& job);

  /// An engine of the revision. Those of FP16 restart within seconds, and nobody else may take their share,
  /// so that requests that none of them got wait for one.
  Task<Upstreams::Reply> reach(const Job& job, std::string digest, const Request& request, Priority priority);
  void learn_control(const Judgement& judgement);
  void report(Job& job, const Asked& first, Fault fault, bool fp16_passed);
  bool draw_shadow(Job& job);
  /// Asks FP16 for the same and compares.
  Task<> shadow(Job job, std::string text);
  /// A stream found bad after its release: whether FP16 does better is asked for the verdict alone. At a
  /// client's priority, since the verdict protects them all, and of as many streams at a time as shadows.
  Task<> verify(Job job, Fault fault);
  /// A client that hangs up says nothing, and one that waited in vain for a revision that hangs hangs up:
  /// when it waited long, FP16 is asked for the same, and has a quarter of that time.
  void given_up(const Job& job);
  Task<> verify_hang(Job job, std::chrono::milliseconds limit);

  asio::io_context& io_;
  Traffic& traffic_;
  std::shared_ptr<Upstreams> upstreams_;
  Metrics& metrics_;
  Limits limits_;
  Calibration control_;
  LanguageCache languages_;
  std::mt19937_64 random_;
  std::size_t in_flight_ = 0;
  std::size_t shadows_ = 0;
  std::size_t verifications_ = 0;
};

/// The status of a request whose client hung up, as nginx counts it.
inline constexpr int kClientGone = 499;
/// Why FP16 answers in place of another, as x-stepdown-retried says.
inline constexpr std::string_view kLowConfidence = "low_confidence";
inline constexpr std::string_view kOverloaded = "overloaded";

}  // namespace stepdown::gateway
