#pragma once

#include <cmath>
#include <limits>

#include "engine/quant/lanes/vector_of.h"

namespace stepdown::quant {

/// Searches::with_minimum for as many groups as one register has lanes, from `first` on.
template <std::size_t Width>
class MinimumSearchOf {
  using V = VectorOf<Width>;
  using Floats = typename V::Floats;

 public:
  MinimumSearchOf(GroupLanes& groups, const MinimumSearch& search, std::size_t first)
      : groups_(groups), search_(search), first_(first) {
    minimum_ = maximum_ = value(0);
    for (std::size_t i = 0; i < groups.size; ++i) {
      const Floats x = value(i);
      minimum_ = x < minimum_ ? x : minimum_;
      maximum_ = x > maximum_ ? x : maximum_;
      sum_w_ += count(i);
      sum_x_ += count(i) * x;
    }
    minimum_ = minimum_ > 0.0f ? Floats{} : minimum_;
  }

  void run(Grids& grids) {
    const auto top = static_cast<float>(search_.max_code);
    Trial best;
    best.from = best.minimum = minimum_;
    best.inverse = top / (maximum_ - minimum_);
    best.scale = 1.0f / best.inverse;
    round(best);
    measure(best);
    for (int step = 0; step <= search_.steps; ++step) {
      const float raised = search_.first + search_.delta * static_cast<float>(step) + top;
      Trial trial;
      trial.from = best.minimum;  // ggml measures every trial from the minimum of the best so far
      trial.inverse = raised / (maximum_ - best.minimum);
      fit(round(trial), trial);
      measure(trial);
      take_better(trial, best);
    }
    // Where all are alike and not above zero, codes are zero.
    best.inverse = maximum_ <= minimum_ ? Floats{} : best.inverse;
    best.scale = maximum_ <= minimum_ ? Floats{} : best.scale;
    best.minimum = maximum_ <= minimum_ ? minimum_ : best.minimum;
    round(best);
    V::store(best.scale, grids.scale, first_);
    V::store(-best.minimum, grids.minimum, first_);
  }

 private:
  /// Codes are rounded from `from` by `inverse`, and stand for code · scale + minimum.
  struct Trial {
    Floats from, inverse, scale, minimum, error;
  };
  struct Sums {
    Floats l = {}, ll = {}, xl = {};  ///< Σ w·l, Σ w·l², Σ w·l·x of codes l
  };

  Floats value(std::size_t i) const { return V::load(groups_.values[i], first_); }
  Floats count(std::size_t i) const { return V::load(groups_.counts[i], first_); }
  Floats code(std::size_t i) const { return V::load(groups_.codes[i], first_); }

  Sums round(const Trial& trial) {
    const Floats from = trial.from;
    const Floats inverse = trial.inverse;
    Floats l = {}, ll = {}, xl = {};  // of the function's own, so that they stay in registers
    for (std::size_t i = 0; i < groups_.size; ++i) {
      const Floats x = value(i);
      const Floats code = V::rounded(inverse * (x - from), 0, search_.max_code);
      const Floats weighted = count(i) * code;
      V::store(code, groups_.codes[i], first_);
      l += weighted;
      ll += weighted * code;
      xl += weighted * x;
    }
    return {l, ll, xl};
  }

  void measure(Trial& trial) const {
    const Floats scale = trial.scale;
    const Floats minimum = trial.minimum;
    Floats error = {};
    for (std::size_t i = 0; i < groups_.size; ++i) {
      const Floats difference = scale * code(i) + minimum - value(i);
      error += count(i) * (search_.absolute_error ? V::magnitude(difference) : difference * difference);
    }
    trial.error = error;
  }

  /// Scale and minimum of least squares; where there are none, the scale is no number, so that its error is
  /// less than none.
  void fit(const Sums& sums, Trial& trial) const {
    const Floats determinant = sum_w_ * sums.ll - sums.l * sums.l;
    const Floats fitted = (sum_w_ * sums.xl - sum_x_ * sums.l) / determinant;
    const Floats offset = (sums.ll * sum_x_ - sums.l * sums.xl) / determinant;
    const Floats found = offset > 0.0f ? sums.xl / sums.ll : fitted;
    trial.scale = determinant > 0.0f ? found : V::all(std::numeric_limits<float>::quiet_NaN());
    trial.minimum = offset > 0.0f ? Floats{} : offset;
  }

  static void take_better(const Trial& trial, Trial& best) {
    best.from = trial.error < best.error ? trial.from : best.from;
    best.inverse = trial.error < best.error ? trial.inverse : best.inverse;
    best.scale = trial.error < best.error ? trial.scale : best.scale;
    best.minimum = trial.error < best.error ? trial.minimum : best.minimum;
    best.error = trial.error < best.error ? trial.error : best.error;
  }

  GroupLanes& groups_;
  MinimumSearch search_;
  std::size_t first_;
  Floats minimum_, maximum_, sum_w_ = {}, sum_x_ = {};
};

template <std::size_t Width>
void count_by_magnitude(GroupLanes& groups, bool with_rms) {
  using V = VectorOf<Width>;
  for (std::size_t first = 0; first < GroupLanes::kGroups; first += Width) {
    typename V::Floats squares = {};
    for (std::size_t i = 0; i < groups.size && with_rms; ++i) {
      const auto x = V::load(groups.values[i], first);
      squares += x * x;
    }
    typename V::Floats base;
    for (std::size_t lane = 0; lane < Width; ++lane)
      base[lane] = std::sqrt(squares[lane] / static_cast<float>(groups.size));
    for (std::size_t i = 0; i < groups.size; ++i)
      V::store(base + V::magnitude(V::load(groups.values[i], first)), groups.counts[i], first);
  }
}

template <std::size_t Width>
Grids search_with_minimum(GroupLanes& groups, const MinimumSearch& search) {
  Grids grids;
  for (std::size_t first = 0; first < GroupLanes::kGroups; first += Width)
    MinimumSearchOf<Width>(groups, search, first).run(grids);
  return grids;
}

template <std::size_t Width>
void round_with_minimum(GroupLanes& groups, const Grids& grids, int max_code) {
  using V = VectorOf<Width>;
  for (std::size_t first = 0; first < GroupLanes::kGroups; first += Width) {
    const auto scale = V::load(grids.scale, first);
    const auto minimum = V::load(grids.minimum, first);
    for (std::size_t i = 0; i < groups.size; ++i) {
      const auto code = V::rounded((V::load(groups.values[i], first) + minimum) / scale, 0, max_code);
      V::store(scale == 0.0f ? V::load(groups.codes[i], first) : code, groups.codes[i], first);
    }
  }
}

}  // namespace stepdown::quant
