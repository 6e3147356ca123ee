#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <vector>

namespace stepdown::gateway {

/// The 99th percentile of the last thousand latencies. Empty while under a hundred were seen.
class RecentP99 {
 public:
  void add(double ms);
  std::optional<double> value() const { return p99_; }

 private:
  std::vector<double> last_;
  std::size_t next_ = 0;
  std::size_t since_sorted_ = 0;
  std::optional<double> p99_;
};

/// Turns latencies of a quantized arm and its concurrent FP16 control into evidence for an ArmTest. An answer
/// of the control is slow above the control's own recent p99, one of the other arm above `ratio` times that;
/// if the allowed ratio holds, a slow answer belongs to either arm as often as requests do, whatever load,
/// prompts and shared stalls make of the latencies themselves.
///
/// The guard against false alarms: slow answers come in bursts (a stall delays all that was under way), so of
/// each five seconds with slow answers just one of them, drawn at random, is evidence.
class SlowAnswers {
 public:
  using Time = std::chrono::system_clock::time_point;

  explicit SlowAnswers(double ratio) : ratio_(ratio) {}

  struct Drawn {
    bool of_candidate = false;
    double w = 0;  ///< the arm's share against control when the request arrived
  };
  /// One good answer. The slow answer drawn from the slice of time that ended, when one did.
  std::optional<Drawn> add(bool of_candidate, double ms, double w, Time now);

  std::optional<double> candidate_p99() const { return candidate_.value(); }
  std::optional<double> control_p99() const { return control_.value(); }

 private:
  double ratio_;
  RecentP99 candidate_;
  RecentP99 control_;
  std::optional<Drawn> drawn_;  // of the slice that runs now
  std::uint64_t in_slice_ = 0;
  Time slice_began_{};
  std::minstd_rand random_{20260101};
};

}  // namespace stepdown::gateway
