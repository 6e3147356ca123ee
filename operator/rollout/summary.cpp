#include "operator/rollout/summary.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "operator/rollout/choose.h"
#include "operator/rollout/names.h"

namespace stepdown::rollout {
namespace {

std::string percent(double share, int digits, bool sign) {
  char text[32];
  std::snprintf(text, sizeof text, sign ? "%+.*f%%" : "%.*f%%", digits, share * 100);
  return text;
}

std::string error_rates(const api::Verdict& verdict) {
  if (!verdict.answers || !verdict.errors || verdict.answers->candidate <= 0) return "";
  const auto rate = [](std::int64_t errors, std::int64_t answers) {
    return answers > 0 ? percent(static_cast<double>(errors) / static_cast<double>(answers), 1, false) : "-";
  };
  return rate(verdict.errors->candidate, verdict.answers->candidate) + "/" +
         rate(verdict.errors->control, verdict.answers->control);
}

/// The metric with an SLO that lost most against FP16; rates by difference, all else relative to FP16.
std::string worst_quality(const api::Metrics& metrics, const std::map<std::string, api::Slo>& slo) {
  std::string worst;
  double most = -INFINITY;
  for (const auto& [name, limits] : slo) {
    const auto metric = metrics.find(name);
    if (metric == metrics.end() || !metric->second.value || !metric->second.baseline) continue;
    const double baseline = *metric->second.baseline;
    const bool rate =
        baseline >= 0 && baseline <= 1 && *metric->second.value >= 0 && *metric->second.value <= 1;
    double lost = drop(name, *metric->second.value, baseline);
    if (!rate) lost = baseline != 0 ? lost / std::abs(baseline) : 0;
    if (lost <= most) continue;
    most = lost;
    worst = name + " " + percent(lost == 0 ? 0.0 : -lost, 1, true);
  }
  return worst;
}

std::string memory_saved(const Findings& found) {
  if (found.subject_scores) {
    const auto measured = found.subject_scores->find("peakMemoryBytes");
    if (measured != found.subject_scores->end() && measured->second.value && measured->second.baseline &&
        *measured->second.baseline > 0) {
      return percent(*measured->second.value / *measured->second.baseline - 1, 0, true);
    }
  }
  if (!found.base || !found.subject_size || found.base->size <= 0) return "";
  return "~" + percent(static_cast<double>(*found.subject_size) / static_cast<double>(found.base->size) - 1,
                       0, true);
}

}  // namespace

std::vector<api::TrafficShare> traffic(const api::RolloutStatus& rollout, const std::string& base,
                                       const std::string& model) {
  std::vector<api::TrafficShare> shares;
  const bool quantized_stable = rollout.stable != base;
  const std::int64_t rest = 100 - rollout.weight;
  const std::int64_t fp16 = quantized_stable ? std::min(rollout.control_percent, rest) : rest;
  shares.push_back({"fp16", base, api::role::kFp16, fp16});
  if (quantized_stable) {
    shares.push_back(
        {names::revision(model, rollout.stable), rollout.stable, api::role::kStable, rest - fp16});
  }
  if (!rollout.digest.empty()) {
    shares.push_back(
        {names::revision(model, rollout.digest), rollout.digest, api::role::kCandidate, rollout.weight});
  }
  return shares;
}

api::Summary summarize(const api::QuantizedModelStatus& status, const api::QuantizedModelSpec& spec,
                       const Findings& found) {
  api::Summary summary;
  summary.method = found.subject_method;
  if (status.rollout && found.base) {
    const api::RolloutStatus& rollout = *status.rollout;
    const std::string& subject = rollout.digest.empty() ? rollout.stable : rollout.digest;
    for (const api::TrafficShare& share : status.traffic) {
      if (share.digest == subject) summary.weight = std::to_string(share.percent) + "%";
    }
    if (status.verdict && status.verdict->digest == subject && subject != found.base->digest) {
      summary.errors = error_rates(*status.verdict);
    }
  }
  if (found.subject_scores) summary.quality = worst_quality(*found.subject_scores, spec.evaluation.slo);
  summary.memory_saved = memory_saved(found);
  return summary;
}

}  // namespace stepdown::rollout
