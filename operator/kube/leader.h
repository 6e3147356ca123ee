#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "operator/kube/client.h"

namespace stepdown::kube {

/// Holds a coordination.k8s.io/v1 Lease while it leads. Another copy's lease counts as lost once it did not
/// change for its duration on *this* machine's clock, so skewed clocks do no harm.
class LeaderElector {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    ObjectKey lease;
    std::string identity;  ///< unique among the copies, e.g. host name and a random suffix
    std::chrono::milliseconds duration{15'000};
    std::chrono::milliseconds renew_deadline{
        10'000};                                    ///< without a renewal for this long, leadership is over
    std::chrono::milliseconds retry_period{2'000};  ///< between tries; up to 20 % is added at random
    std::function<Clock::time_point()> now = [] { return Clock::now(); };
  };

  LeaderElector(Client client, Options options);
  ~LeaderElector();

  /// One try to acquire or renew; true while leading. Tests drive this with a clock of their own.
  bool step();
  bool leading() const;
  /// Gives the lease back, so that another copy need not wait for its end.
  void release();

  /// Tries until it leads, calls `lead`, renews until `stop` or loss; then asks the stop_token it gave to
  /// `lead` to stop, and returns when `lead` has returned (true: stopped, lease released; false: lost).
  bool run(std::stop_token stop, const std::function<void(std::stop_token)>& lead);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::kube
