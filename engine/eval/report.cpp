#include "engine/eval/report.h"

#include <algorithm>
#include <cmath>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/eval/metric_kinds.h"

namespace stepdown::eval {
namespace {

/// JSON has no infinity: an infinite perplexity is written as null and read as one.
nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

nlohmann::json metric_json(std::string_view name, const Metric& metric) {
  nlohmann::json json = {{"value", number(metric.value)},
                         {"n", metric.n},
                         {"better", metric_kind(name).higher_is_better ? "higher" : "lower"}};
  if (metric.baseline) json["baseline"] = number(*metric.baseline);
  if (metric.delta) json["delta"] = number(*metric.delta);
  if (metric.interval) json["interval"] = {metric.interval->low, metric.interval->high};
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
    for (const auto& [name, metric] : json.at("metrics").items()) {
      report.metrics[name] = {.value = read_number(metric.at("value")),
                              .n = metric.at("n").get<std::int64_t>()};
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
    throw InputError(std::string("not an evaluation report: ") + error.what(), path.string(),
                     "give a report.json that stepdown-engine evaluate wrote");
  }
  return report;
}

void compare(Report& report, const Report& baseline) {
  std::map<std::string, const SampleResult*> by_id;
  for (const SampleResult& sample : baseline.samples) by_id[sample.id] = &sample;
  for (auto& [name, metric] : report.metrics) {
    const auto before = baseline.metrics.find(name);
    if (before == baseline.metrics.end()) continue;
    metric.baseline = before->second.value;
    metric.delta = metric.value - before->second.value;
    std::vector<double> differences;
    for (const SampleResult& sample : report.samples) {
      const auto score = sample.scores.find(name);
      const auto partner = by_id.find(sample.id);
      if (score == sample.scores.end() || partner == by_id.end()) continue;
      const auto other = partner->second->scores.find(name);
      if (other != partner->second->scores.end()) differences.push_back(score->second - other->second);
    }
    if (!differences.empty()) metric.interval = paired_interval(differences);
  }
}

}  // namespace stepdown::eval
