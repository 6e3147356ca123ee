#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::local {

/// A container's probe: HTTP GET or TCP connect.
struct Probe {
  std::string host;
  int port = 0;
  bool http = true;
  std::string path = "/";
  std::vector<std::pair<std::string, std::string>> headers;
  std::chrono::seconds initial_delay{0};
  std::chrono::seconds period{10};
  std::chrono::seconds timeout{1};
  int success_threshold = 1;
  int failure_threshold = 3;
};

/// `ports`: the container's ports by name. Throws InputError for exec and grpc probes and unknown port names.
Probe parse_probe(const nlohmann::json& probe, const nlohmann::json& ports, const std::string& pod_ip);

struct ProbeResult {
  bool passed = false;
  std::string message;  ///< of a failure
};
/// Blocks for at most the probe's timeout.
ProbeResult run_probe(const Probe& probe);

/// Counts results against thresholds. Pure.
class ProbeCounter {
 public:
  ProbeCounter(const Probe& probe, bool passing) : probe_(&probe), passing_(passing) {}

  using Clock = std::chrono::steady_clock;
  bool due(Clock::time_point now, Clock::time_point container_started) const;
  /// Returns whether the verdict changed.
  bool count(const ProbeResult& result, Clock::time_point now);
  bool passing() const { return passing_; }
  /// The failure threshold was reached by the last result.
  bool failed() const { return failures_ >= probe_->failure_threshold; }

 private:
  const Probe* probe_;
  bool passing_;
  int successes_ = 0;
  int failures_ = 0;
  std::optional<Clock::time_point> last_;
};

}  // namespace stepdown::local
