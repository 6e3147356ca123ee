#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/eval/statistics.h"
#include "engine/eval/suite.h"

namespace stepdown::eval {

/// One measured figure. With a baseline: its value there, the difference, and for scores and perplexities the
/// 95 % interval of the paired difference. Latencies have none: two runs differ by more than their prompts
/// do. Figures that compare with FP16 by themselves have that of the value.
struct Metric {
  double value = 0;
  std::int64_t n = 0;
  std::optional<double> baseline;
  std::optional<double> delta;
  std::optional<Interval> interval;
};

/// What one prompt came to; kept so that a later run can be paired with this one.
struct SampleResult {
  std::string id;
  Scores scores;
  double latency_ms = 0;
  std::int64_t tokens = 0;
  std::string text;
  std::string finish_reason;
  std::string error;
};

/// Everything an evaluation found. Its JSON form is engine/eval/report.schema.json.
struct Report {
  nlohmann::json model;  ///< what was measured: digest, format, size
  nlohmann::json
      setting;  ///< what it is valid for: engine version, dataset digest, context, KV type, hardware
  std::map<std::string, Metric> metrics;
  /// Negative log-likelihoods text by text, by the perplexity that they are of.
  std::map<std::string, std::vector<TokenSum>> likelihoods;
  nlohmann::json kv_cache;  ///< kv_check.h's, of a quantized cache; null: none
  std::vector<SampleResult> samples;
  std::vector<std::string> warnings;             ///< why the figures may mislead
  std::optional<std::int64_t> predicted_memory;  ///< bytes of the whole run; none: another process computes
  std::uint64_t peak_memory = 0;                 ///< of this process: VmHWM
  double seconds = 0;
};

nlohmann::json to_json(const Report& report);
/// Without the per-prompt part: small enough for a pod's termination message.
nlohmann::json summary(const Report& report);

/// Reads a report's metrics and samples back, to serve as a baseline. Throws InputError naming the path.
Report read_report(const std::filesystem::path& path);

/// Fills baseline, delta and interval of every metric that both reports have, pairing prompts by id and texts
/// by their order.
void compare(Report& report, const Report& baseline);

/// What was asked, by the id of the sample.
using Prompts = std::map<std::string, std::string, std::less<>>;

/// A page that needs nothing but itself: the table of metrics, latency curves, answers beside FP16's.
std::string to_html(const Report& report, const std::optional<Report>& baseline, const Prompts& prompts = {});

}  // namespace stepdown::eval
