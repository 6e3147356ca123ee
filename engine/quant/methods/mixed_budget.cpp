#include "engine/quant/methods/mixed_budget.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "engine/base/error.h"

namespace stepdown::quant {
namespace {

/// One step up of one tensor.
struct Step {
  std::size_t tensor;
  std::size_t option;
  std::uint64_t cost;
  double gain;  ///< loss a byte
};

/// The steps of a tensor's lower convex hull: each buys less a byte than the one before.
std::vector<Step> hull(const std::vector<TypeOption>& options, std::size_t tensor) {
  std::vector<Step> steps;
  for (std::size_t at = 0; at + 1 < options.size();) {
    Step best{tensor, 0, 0, 0.0};
    for (std::size_t next = at + 1; next < options.size(); ++next) {
      const std::uint64_t cost = options[next].bytes - options[at].bytes;
      const double gain =
          (options[at].loss - options[next].loss) / static_cast<double>(std::max<std::uint64_t>(1, cost));
      if (gain > best.gain) best = {tensor, next, cost, gain};
    }
    if (best.gain <= 0) break;
    steps.push_back(best);
    at = best.option;
  }
  return steps;
}

}  // namespace

std::vector<std::size_t> spend_budget(const std::vector<std::vector<TypeOption>>& tensors,
                                      std::uint64_t budget, std::uint64_t fixed) {
  std::vector<std::size_t> choice(tensors.size(), 0);
  std::vector<Step> steps;
  std::uint64_t used = fixed;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    used += tensors[i].front().bytes;
    std::ranges::copy(hull(tensors[i], i), std::back_inserter(steps));
  }
  if (used > budget) {
    const std::string least = std::to_string(used);
    throw InputError("the smallest file takes " + least + " bytes", "--budget", "give at least " + least);
  }
  std::ranges::stable_sort(steps, std::ranges::greater(), &Step::gain);
  for (const Step& step : steps) {
    const auto& options = tensors[step.tensor];
    const std::uint64_t cost = options[step.option].bytes - options[choice[step.tensor]].bytes;
    if (step.option <= choice[step.tensor] || used + cost > budget) continue;
    used += cost;
    choice[step.tensor] = step.option;
  }
  return choice;
}

}  // namespace stepdown::quant
