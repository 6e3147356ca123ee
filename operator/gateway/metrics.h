#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "operator/gateway/judge/fault.h"
#include "operator/gateway/route/traffic.h"

namespace stepdown::gateway {

/// The gateway's Prometheus metrics: stepdown_gateway_*.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// A request answered to its client.
  void answered(Arm arm, const std::string& digest, int status, std::chrono::nanoseconds took);
  void fault(Arm arm, const std::string& digest, Fault fault);
  void retried(std::string_view reason);
  /// Free text found degenerate after its release.
  void tainted(const std::string& digest);
  /// A stream whose client saw it fail.
  void failed_stream(const std::string& digest);
  void shadowed(const std::string& digest, double disagreement);
  void in_flight(std::size_t requests);

  /// The text exposition, with shares and trips as `traffic` has them now.
  std::string expose(const Traffic& traffic);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::gateway
