#include "operator/rollout/choose.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

namespace stepdown::rollout {
namespace {

constexpr std::array<std::string_view, 5> kLowerIsBetter = {"perplexity", "longContext", "latencyP50Ms",
                                                            "latencyP99Ms", "peakMemoryBytes"};

std::string figure(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// How much worse than FP16 it may be: the ends of the 95 % interval.
std::optional<std::pair<double, double>> spread(const std::string& name, const api::Metric& metric) {
  if (metric.interval.size() != 2) return std::nullopt;
  return std::minmax({drop(name, metric.interval[0], 0.0), drop(name, metric.interval[1], 0.0)});
}

/// A suite of type retrieval measures one of two metrics, by its keys: the one that is there is named.
std::string unmeasured(const std::string& name, const api::Metrics& metrics) {
  const std::string other = name == "retrieval"           ? "multiKeyRetrieval"
                            : name == "multiKeyRetrieval" ? "retrieval"
                                                          : "";
  const std::string why = metrics.contains(other) ? ": by the keys of its suite it is " + other : "";
  return name + " was not measured" + why;
}

std::string broken(const std::string& name, const api::Slo& slo, const api::Metric& metric,
                   const api::Metric* baseline) {
  const double value = *metric.value;
  if (slo.min && !(value >= *slo.min))
    return name + " " + figure(value) + " is under min " + figure(*slo.min);
  if (slo.max && !(value <= *slo.max)) return name + " " + figure(value) + " is over max " + figure(*slo.max);
  if (!slo.max_drop) return "";
  const auto& fp16 = baseline != nullptr && baseline->value ? baseline->value : metric.baseline;
  if (!fp16) return name + " of FP16 was not measured";
  const double worse = drop(name, value, *fp16);
  const auto interval = spread(name, metric);
  const std::string ends =
      interval ? " (95 % " + figure(interval->first) + " to " + figure(interval->second) + ")" : "";
  if (worse > *slo.max_drop) {
    return name + " " + figure(value) + " is " + figure(worse) + ends + " worse than FP16's " +
           figure(*fp16) + ", over maxDrop " + figure(*slo.max_drop);
  }
  // A test of non-inferiority: prompts too few to tell are no proof.
  if (!interval || interval->second <= *slo.max_drop) return "";
  return name + " " + figure(value) + " against FP16's " + figure(*fp16) +
         " is not shown to be within maxDrop " + figure(*slo.max_drop) + ": by these prompts it is " +
         figure(interval->first) + " to " + figure(interval->second) +
         " worse (95 %); more prompts tell closer";
}

const api::Metric* find(const api::Metrics& metrics, const std::string& name) {
  const auto found = metrics.find(name);
  return found == metrics.end() ? nullptr : &found->second;
}

}  // namespace

double drop(const std::string& metric, double value, double baseline) {
  return std::ranges::find(kLowerIsBetter, metric) != kLowerIsBetter.end() ? value - baseline
                                                                           : baseline - value;
}

std::string broken_slo(const std::map<std::string, api::Slo>& slo, const api::Metrics& metrics,
                       const api::Metrics& baseline) {
  for (const auto& [name, limits] : slo) {
    const api::Metric* metric = find(metrics, name);
    if (metric == nullptr || !metric->value) return unmeasured(name, metrics);
    if (std::string found = broken(name, limits, *metric, find(baseline, name)); !found.empty()) return found;
  }
  return "";
}

std::string why_larger_lost(const api::CandidateStatus& loser, const api::CandidateStatus& winner) {
  const auto mebibytes = [](std::int64_t bytes) {
    return figure(std::round(static_cast<double>(bytes) / static_cast<double>(1 << 20) * 100) / 100) + " MiB";
  };
  const std::string sizes =
      mebibytes(loser.size) + " against " + mebibytes(winner.size) + " of " + winner.name;
  return loser.size > winner.size ? "meets every SLO, and is larger: " + sizes
                                  : "meets every SLO, and is as large: " + sizes + ", which is listed first";
}

std::optional<std::size_t> choose(const std::vector<api::CandidateStatus>& candidates) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const std::string& state = candidates[i].state;
    if (state != api::candidate_state::kPassed && state != api::candidate_state::kChosen) continue;
    if (!best || candidates[i].size < candidates[*best].size) best = i;
  }
  return best;
}

}  // namespace stepdown::rollout
