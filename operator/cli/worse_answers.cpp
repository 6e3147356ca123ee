#include "operator/cli/worse_answers.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>

#include <nlohmann/json.hpp>

#include "operator/kube/object.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

std::string figure(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

std::optional<WorseAnswer> compare(const json& fp16, const json& sample) {
  const json& before = kube::value_at(fp16, "/scores");
  const json& after = kube::value_at(sample, "/scores");
  if (!before.is_object() || !after.is_object()) return std::nullopt;
  std::optional<WorseAnswer> worst;
  for (const auto& [metric, score] : after.items()) {
    const auto other = before.find(metric);
    if (other == before.end() || !other->is_number() || !score.is_number()) continue;
    const double was = other->get<double>(), is = score.get<double>();
    if (is >= was || (worst && was - is <= worst->fp16_score - worst->score)) continue;
    worst = WorseAnswer{kube::text_at(sample, "/id"),  metric, was, is, kube::text_at(fp16, "/text"),
                        kube::text_at(sample, "/text")};
  }
  return worst;
}

}  // namespace

std::vector<WorseAnswer> worse_answers(const json& fp16_report, const json& report) {
  std::map<std::string, const json*> fp16;
  const json& fp16_samples = kube::value_at(fp16_report, "/samples");
  if (fp16_samples.is_array()) {
    for (const json& sample : fp16_samples) fp16.emplace(kube::text_at(sample, "/id"), &sample);
  }
  std::vector<WorseAnswer> out;
  const json& samples = kube::value_at(report, "/samples");
  if (!samples.is_array()) return out;
  for (const json& sample : samples) {
    const auto same = fp16.find(kube::text_at(sample, "/id"));
    if (same == fp16.end()) continue;
    if (auto worse = compare(*same->second, sample)) out.push_back(std::move(*worse));
  }
  std::ranges::stable_sort(out, [](const WorseAnswer& left, const WorseAnswer& right) {
    return left.fp16_score - left.score > right.fp16_score - right.score;
  });
  return out;
}

std::string print_worse_answers(const std::vector<WorseAnswer>& answers, std::size_t samples,
                                std::size_t most) {
  std::string out = std::to_string(answers.size()) + " of " + std::to_string(samples) +
                    " prompts are answered worse than by FP16\n";
  for (const WorseAnswer& each : answers) {
    if (most-- == 0) break;
    out += "\n" + each.id + ": " + each.metric + " " + figure(each.fp16_score) + " -> " + figure(each.score) +
           "\n  fp16: " + each.fp16_text + "\n  now:  " + each.text + "\n";
  }
  return out;
}

}  // namespace stepdown::cli
