#include "engine/eval/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <utility>

#include "engine/base/atomic_file.h"
#include "engine/base/bounded_json.h"
#include "engine/base/error.h"
#include "engine/eval/metric_kinds.h"

namespace stepdown::eval {
namespace {

/// JSON has no infinity: an infinite perplexity is written as null and read as one.
nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

/// Of an interval's end: drawing the prompts anew tells no more digits, and a pod's termination message is
/// short.
double six_digits(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return std::strtod(text.data(), nullptr);
}

nlohmann::json metric_json(std::string_view name, const Metric& metric) {
  nlohmann::json json = {{"value", number(metric.value)},
                         {"n", metric.n},
                         {"better", metric_kind(name).higher_is_better ? "higher" : "lower"}};
  if (metric.baseline) json["baseline"] = number(*metric.baseline);
  if (metric.delta) json["delta"] = number(*metric.delta);
  if (metric.interval)
    json["interval"] = {six_digits(metric.interval->low), six_digits(metric.interval->high)};
  return json;
}

nlohmann::json metrics_json(const Report& report) {
  nlohmann::json metrics = nlohmann::json::object();
  for (const auto& [name, metric] : report.metrics) metrics[name] = metric_json(name, metric);
  return metrics;
}

double read_number(const nlohmann::json& json) {
  return json.is_null() ? std::numeric_limits<double>::infinity() : json.get<double>();
}

struct Pair {
  const SampleResult* ours;
  const SampleResult* baselines;
};

std::vector<Pair> pairs_of(const Report& report, const Report& baseline) {
  std::map<std::string, const SampleResult*> by_id;
  for (const SampleResult& sample : baseline.samples) by_id[sample.id] = &sample;
  std::vector<Pair> pairs;
  for (const SampleResult& sample : report.samples) {
    if (const auto partner = by_id.find(sample.id); partner != by_id.end())
      pairs.push_back({&sample, partner->second});
  }
  return pairs;
}

std::optional<Interval> score_interval(const std::string& name, std::span<const Pair> pairs) {
  std::vector<double> differences;
  for (const auto& [ours, baselines] : pairs) {
    const auto score = ours->scores.find(name);
    const auto other = baselines->scores.find(name);
    if (score != ours->scores.end() && other != baselines->scores.end())
      differences.push_back(score->second - other->second);
  }
  if (differences.empty()) return std::nullopt;
  return paired_interval(differences);
}

/// None where the texts were cut otherwise: by another context or tokenizer.
std::optional<Interval> perplexity_interval(const std::string& name, const Report& report,
                                            const Report& baseline) {
  const auto found = report.likelihoods.find(name);
  const auto other = baseline.likelihoods.find(name);
  if (found == report.likelihoods.end() || other == baseline.likelihoods.end()) return std::nullopt;
  const std::vector<TokenSum>&ours = found->second, &baselines = other->second;
  if (ours.empty() || !std::ranges::equal(ours, baselines, {}, &TokenSum::tokens, &TokenSum::tokens))
    return std::nullopt;
  const auto finite = [](const TokenSum& text) { return std::isfinite(text.sum); };
  if (!std::ranges::all_of(ours, finite) || !std::ranges::all_of(baselines, finite)) return std::nullopt;
  return bootstrap_interval(ours.size(), [&](std::span<const std::size_t> drawn) {
    return std::exp(token_mean(ours, drawn)) - std::exp(token_mean(baselines, drawn));
  });
}

}  // namespace

nlohmann::json summary(const Report& report) {
  nlohmann::json json = {{"kind", "evaluation"},        {"model", report.model},
                         {"setting", report.setting},   {"metrics", metrics_json(report)},
                         {"warnings", report.warnings}, {"seconds", report.seconds}};
  if (report.predicted_memory) {
    json["predictedMemoryBytes"] = *report.predicted_memory;
    json["peakMemoryBytes"] = report.peak_memory;
  }
  if (!report.kv_cache.is_null()) {
    json["kvCache"] = report.kv_cache;
    json["kvCache"].erase("layers");
  }
  return json;
}

nlohmann::json to_json(const Report& report) {
  nlohmann::json json = summary(report);
  if (!report.kv_cache.is_null()) json["kvCache"] = report.kv_cache;
  json["likelihoods"] = nlohmann::json::object();
  for (const auto& [name, texts] : report.likelihoods) {
    nlohmann::json& rows = json["likelihoods"][name] = nlohmann::json::array();
    for (const TokenSum& text : texts) rows.push_back({number(text.sum), text.tokens});
  }
  json["samples"] = nlohmann::json::array();
  for (const SampleResult& sample : report.samples) {
    nlohmann::json row = {
        {"id", sample.id},         {"scores", sample.scores}, {"latencyMs", sample.latency_ms},
        {"tokens", sample.tokens}, {"text", sample.text},     {"finishReason", sample.finish_reason}};
    if (!sample.error.empty()) row["error"] = sample.error;
    json["samples"].push_back(std::move(row));
  }
  return json;
}

Report read_report(const std::filesystem::path& path) {
  Report report;
  try {
    const auto json = nlohmann::json::parse(read_file(path));
    report.model = json.at("model");
    report.setting = json.at("setting");
    if (report.setting.is_null()) report.setting = nlohmann::json::object();
    report.setting.value("dataset", "");  // throws where it is no text: it is read later
    for (const auto& [name, metric] : json.at("metrics").items()) {
      report.metrics[name] = {.value = read_number(metric.at("value")),
                              .n = metric.at("n").get<std::int64_t>()};
    }
    // Absent in reports of older versions.
    const nlohmann::json likelihoods = json.value("likelihoods", nlohmann::json::object());
    for (const auto& [name, texts] : likelihoods.items()) {
      for (const auto& text : texts) {
        report.likelihoods[name].push_back({read_number(text.at(0)), text.at(1).get<std::int64_t>()});
      }
    }
    for (const auto& row : json.at("samples")) {
      SampleResult sample;
      sample.id = row.at("id").get<std::string>();
      sample.scores = row.at("scores").get<Scores>();
      sample.latency_ms = row.at("latencyMs").get<double>();
      sample.tokens = row.at("tokens").get<std::int64_t>();
      sample.text = row.at("text").get<std::string>();
      sample.finish_reason = row.at("finishReason").get<std::string>();
      report.samples.push_back(std::move(sample));
    }
  } catch (const nlohmann::json::exception& error) {
    throw InputError("not an evaluation report: " + plain_words(error), path.string(),
                     "give a report.json that stepdown-engine evaluate wrote");
  }
  return report;
}

void compare(Report& report, const Report& baseline) {
  const std::vector<Pair> pairs = pairs_of(report, baseline);
  for (auto& [name, metric] : report.metrics) {
    const auto before = baseline.metrics.find(name);
    if (before == baseline.metrics.end()) continue;
    metric.baseline = before->second.value;
    metric.delta = metric.value - before->second.value;
    metric.interval = score_interval(name, pairs);
    if (!metric.interval) metric.interval = perplexity_interval(name, report, baseline);
  }
}

}  // namespace stepdown::eval
