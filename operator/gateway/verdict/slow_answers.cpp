#include "operator/gateway/verdict/slow_answers.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace stepdown::gateway {
namespace {

constexpr std::size_t kMemory = 1000;
constexpr std::size_t kLeast = 100;
constexpr std::size_t kSortEvery = 50;
constexpr std::chrono::seconds kSlice{5};

}  // namespace

void RecentP99::add(double ms) {
  if (!std::isfinite(ms)) return;
  if (last_.size() < kMemory) {
    last_.push_back(ms);
  } else {
    last_[next_] = ms;
    next_ = (next_ + 1) % kMemory;
  }
  if (++since_sorted_ < kSortEvery || last_.size() < kLeast) return;
  since_sorted_ = 0;
  std::vector<double> sorted = last_;
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() * 99 / 100);
  std::nth_element(sorted.begin(), at, sorted.end());
  p99_ = *at;
}

std::optional<SlowAnswers::Drawn> SlowAnswers::add(bool of_candidate, double ms, double w, Time now) {
  std::optional<Drawn> ended;
  if (drawn_ && (now - slice_began_ >= kSlice || now < slice_began_)) ended = std::exchange(drawn_, {});
  // The limit comes from answers before this one: a slow answer must not move its own limit.
  if (const auto usual = control_.value(); usual && ms > *usual * (of_candidate ? ratio_ : 1)) {
    if (!drawn_) {
      in_slice_ = 0;
      slice_began_ = now;
    }
    if (std::uniform_int_distribution<std::uint64_t>(0, in_slice_++)(random_) == 0) {
      drawn_ = Drawn{of_candidate, w};
    }
  }
  (of_candidate ? candidate_ : control_).add(ms);
  return ended;
}

}  // namespace stepdown::gateway
