#pragma once

#include <array>
#include <limits>
#include <span>
#include <utility>

#include "engine/quant/lanes/vector_of.h"

namespace stepdown::quant {

/// Searches::symmetric and descent for as many groups as one register has lanes, from `first` on.
template <std::size_t Width>
class SymmetricSearchOf {
  using V = VectorOf<Width>;
  using Floats = typename V::Floats;

 public:
  SymmetricSearchOf(GroupLanes& groups, int half, std::size_t first)
      : groups_(groups), half_(half), first_(first) {
    for (std::size_t i = 0; i < groups.size; ++i) {
      const Floats x = value(i);
      const Floats magnitude = V::magnitude(x);
      extreme_ = magnitude > magnitude_ ? x : extreme_;
      magnitude_ = magnitude > magnitude_ ? magnitude : magnitude_;
    }
  }

  void try_scales(Scales& into) {
    Floats chosen = static_cast<float>(-half_) / extreme_;
    Fit fit = round(chosen);
    Floats scales = fit.ll != 0.0f ? fit.xl / fit.ll : Floats{};
    Floats best = scales * fit.xl;
    constexpr int kSteps = 9;  // to either side
    for (int step = -kSteps; step <= kSteps; ++step) {
      if (step == 0) continue;
      const Floats inverse = -(static_cast<float>(half_) + 0.1f * static_cast<float>(step)) / extreme_;
      fit = round(inverse);
      const Floats gain = fit.xl * fit.xl;
      const Floats bound = fit.ll > 0.0f ? best * fit.ll : never();
      chosen = gain > bound ? inverse : chosen;
      scales = gain > bound ? fit.xl / fit.ll : scales;
      best = gain > bound ? scales * fit.xl : best;
    }
    round(chosen);
    finish(scales, into);
  }

  // A descent, step by step, so that several can take turns: each step waits for the one before.
  void begin_descent() { fit_ = round(static_cast<float>(-half_) / extreme_); }
  /// Moves code i of each group to where it alone helps most.
  void move(std::size_t i) {
    const Floats x = value(i);
    const Floats weight = count(i);
    const Floats old_code = V::load(groups_.codes[i], first_);
    const Floats xl = fit_.xl - weight * x * old_code;
    const Floats ll = fit_.ll - weight * old_code * old_code;
    const Floats code = V::rounded(x * ll / xl, -half_, half_ - 1);
    const Floats new_xl = xl + weight * x * code;
    const Floats new_ll = ll + weight * code * code;
    const Floats gain = new_xl * new_xl * fit_.ll;
    Floats bound = new_ll > 0.0f ? fit_.xl * fit_.xl * new_ll : never();
    bound = xl > 0.0f ? bound : never();
    bound = code == old_code ? never() : bound;
    V::store(gain > bound ? code : old_code, groups_.codes[i], first_);
    fit_.xl = gain > bound ? new_xl : fit_.xl;
    fit_.ll = gain > bound ? new_ll : fit_.ll;
    moved_ = gain > bound ? never() : moved_;
  }
  /// Whether any code moved since this was asked last.
  bool has_moved() {
    bool any = false;
    for (std::size_t lane = 0; lane < Width; ++lane) any = any || moved_[lane] != 0.0f;
    moved_ = Floats{};
    return any;
  }
  void end_descent(Scales& into) { finish(fit_.ll > 0.0f ? fit_.xl / fit_.ll : Floats{}, into); }

 private:
  static constexpr float kNothing = 1e-15f;  // groups smaller than this are all zero
  static Floats never() { return V::all(std::numeric_limits<float>::infinity()); }

  struct Fit {
    Floats xl = {}, ll = {};  ///< Σ w·x·l, Σ w·l²
  };

  Floats value(std::size_t i) const { return V::load(groups_.values[i], first_); }
  Floats count(std::size_t i) const { return V::load(groups_.counts[i], first_); }

  /// Codes around zero.
  Fit round(const Floats& inverse) {
    const Floats by = inverse;
    Floats xl = {}, ll = {};  // of the function's own, so that they stay in registers
    for (std::size_t i = 0; i < groups_.size; ++i) {
      const Floats x = value(i);
      const Floats weight = count(i);
      const Floats code = V::rounded(by * x, -half_, half_ - 1);
      V::store(code, groups_.codes[i], first_);
      xl += weight * x * code;
      ll += weight * code * code;
    }
    return {xl, ll};
  }

  /// Codes from zero on; of groups that are nothing all zero.
  void finish(const Floats& scales, Scales& into) {
    V::store(magnitude_ < kNothing ? Floats{} : scales, into, first_);
    for (std::size_t i = 0; i < groups_.size; ++i) {
      const Floats code = V::load(groups_.codes[i], first_) + static_cast<float>(half_);
      V::store(magnitude_ < kNothing ? Floats{} : code, groups_.codes[i], first_);
    }
  }

  GroupLanes& groups_;
  int half_;
  std::size_t first_;
  Floats extreme_ = {};  ///< each group's weight of largest magnitude, with its sign
  Floats magnitude_ = {};
  Fit fit_;  ///< of the codes where a descent is
  Floats moved_ = {};
};

template <std::size_t Width>
void count_by_square(GroupLanes& groups) {
  using V = VectorOf<Width>;
  for (std::size_t i = 0; i < groups.size; ++i) {
    for (std::size_t first = 0; first < GroupLanes::kGroups; first += Width) {
      const auto x = V::load(groups.values[i], first);
      V::store(x * x, groups.counts[i], first);
    }
  }
}

template <std::size_t Width>
Scales search_symmetric(GroupLanes& groups, int half) {
  Scales scales;
  for (std::size_t first = 0; first < GroupLanes::kGroups; first += Width)
    SymmetricSearchOf<Width>(groups, half, first).try_scales(scales);
  return scales;
}

template <std::size_t Width, std::size_t... I>
void descend_in_turns(std::span<GroupLanes> blocks, int half, std::span<Scales> into,
                      std::index_sequence<I...> /*registers*/) {
  constexpr std::size_t kEach = GroupLanes::kGroups / Width;  // registers of a block
  std::array searches = {SymmetricSearchOf<Width>(blocks[I / kEach], half, I % kEach * Width)...};
  for (auto& search : searches) search.begin_descent();
  bool moved = true;
  for (int pass = 0; moved && pass < 5; ++pass) {
    for (std::size_t i = 0; i < blocks.front().size; ++i) {
      for (auto& search : searches) search.move(i);
    }
    moved = false;
    for (auto& search : searches) moved = search.has_moved() || moved;
  }
  (searches[I].end_descent(into[I / kEach]), ...);
}

template <std::size_t Width>
void search_descent(std::span<GroupLanes> blocks, int half, std::span<Scales> into) {
  constexpr std::size_t kEach = GroupLanes::kGroups / Width;
  constexpr std::size_t kTurns = 4;
  std::size_t at = 0;
  for (; at + kTurns / kEach <= blocks.size(); at += kTurns / kEach)
    descend_in_turns<Width>(blocks.subspan(at), half, into.subspan(at), std::make_index_sequence<kTurns>());
  for (; at < blocks.size(); ++at)
    descend_in_turns<Width>(blocks.subspan(at), half, into.subspan(at), std::make_index_sequence<kEach>());
}

template <std::size_t Width>
void round_symmetric(GroupLanes& groups, const Scales& scales, int half) {
  using V = VectorOf<Width>;
  for (std::size_t first = 0; first < GroupLanes::kGroups; first += Width) {
    const auto scale = V::load(scales, first);
    for (std::size_t i = 0; i < groups.size; ++i) {
      const auto code = V::rounded(V::load(groups.values[i], first) / scale, -half, half - 1);
      V::store(scale == 0.0f ? V::load(groups.codes[i], first) : code + static_cast<float>(half),
               groups.codes[i], first);
    }
  }
}

}  // namespace stepdown::quant
