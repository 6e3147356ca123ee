#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <string_view>

#include "operator/compat/rule.h"
#include "operator/compat/suites.h"

// What candidates are measured by.
namespace stepdown::compat {
namespace {

constexpr std::array<std::string_view, 17> kMetrics = {
    "perplexity",      "jsonPass",       "jsonPassConstrained", "fieldAccuracy", "exactMatch",
    "citation",        "refusal",        "arithmetic",          "retrieval",     "multiKeyRetrieval",
    "toolCall",        "multipleChoice", "longContext",         "latencyP50Ms",  "latencyP99Ms",
    "tokensPerSecond", "peakMemoryBytes"};

bool limited(const Subject& subject, std::initializer_list<const char*> metrics) {
  return std::ranges::any_of(metrics,
                             [&](const char* each) { return subject.spec.evaluation.slo.contains(each); });
}

bool evaluates(const Subject& subject) {
  return !subject.spec.evaluation.dataset.empty() && subject.spec.quantization.from_revision.empty();
}

void no_evaluation(const Subject& subject, Report& report) {
  if (!subject.spec.evaluation.dataset.empty() || !subject.spec.quantization.from_revision.empty()) return;
  report.add("spec.evaluation.dataset", "candidates are not evaluated: the canary alone guards them");
}

void unknown_metric(const Subject& subject, Report& report) {
  for (const auto& [metric, slo] : subject.spec.evaluation.slo) {
    if (std::ranges::find(kMetrics, metric) != kMetrics.end()) continue;
    std::string known;
    for (const std::string_view each : kMetrics) known += (known.empty() ? "" : ", ") + std::string(each);
    report.add("spec.evaluation.slo[" + metric + "]", "unknown metric " + metric, "use one of " + known);
  }
}

/// Public multiple-choice benchmarks, by the names their files carry.
bool multiple_choice(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* each : {"mmlu", "hellaswag", "arc-", "arc_", "winogrande", "piqa", "boolq", "truthfulqa",
                           "gpqa", "openbookqa", "commonsenseqa"}) {
    if (text.find(each) != std::string::npos) return true;
  }
  return false;
}

void multiple_choice_only(const Subject& subject, Report& report) {
  if (!evaluates(subject)) return;
  const std::vector<std::string> suites = suite_types(subject.spec.evaluation);
  const bool all_choice = !suites.empty() && std::ranges::all_of(suites, [](const auto& each) {
    return each == "multipleChoice";
  });
  const bool named = multiple_choice(subject.spec.evaluation.dataset) && suites.empty();
  if (all_choice || named) report.add("spec.evaluation.suites", "only multiple choice is measured");
}

void no_limits(const Subject& subject, Report& report) {
  if (evaluates(subject) && subject.spec.evaluation.slo.empty()) {
    report.add("spec.evaluation.slo",
               "candidates are measured, and no limit says which is good enough: the smallest always wins");
  }
}

void no_comparison(const Subject& subject, Report& report) {
  if (!evaluates(subject) || subject.spec.evaluation.slo.empty()) return;
  const bool compared = std::ranges::any_of(
      subject.spec.evaluation.slo, [](const auto& entry) { return entry.second.max_drop.has_value(); });
  if (!compared) report.add("spec.evaluation.slo", "no limit compares with FP16");
}

void no_load_test(const Subject& subject, Report& report) {
  if (!evaluates(subject) || subject.spec.evaluation.slo.empty()) return;
  const bool latency = limited(subject, {"latencyP50Ms", "latencyP99Ms", "tokensPerSecond"});
  const bool longer = limited(subject, {"longContext"});
  if (latency && longer) return;
  report.add("spec.evaluation.slo", std::string("no limit on ") + (latency  ? "long contexts"
                                                                   : longer ? "latency"
                                                                            : "latency and long contexts"));
}

struct MetricNeeds {
  std::string_view metric;
  std::string_view suite;
  std::string_view options = "";
};
constexpr MetricNeeds kNeeds[] = {{"jsonPass", "jsonSchema"},
                                  {"jsonPassConstrained", "jsonSchema"},
                                  {"fieldAccuracy", "exactMatch"},
                                  {"exactMatch", "exactMatch"},
                                  {"citation", "citation"},
                                  {"refusal", "refusal"},
                                  {"arithmetic", "arithmetic"},
                                  {"retrieval", "retrieval"},
                                  {"multiKeyRetrieval", "retrieval", ", keys: 4"},
                                  {"toolCall", "toolCall"},
                                  {"multipleChoice", "multipleChoice"}};

/// Suites of type retrieval measure one of two metrics, by their keys. Whether `metric` is the one that they
/// do not: then the other one is named.
bool measured_by_the_other(const Subject& subject, const std::string& metric, Report& report) {
  const std::vector<std::int64_t> keys = retrieval_keys(subject.spec.evaluation);
  const bool many = metric == "multiKeyRetrieval";
  if (keys.empty() || (!many && metric != "retrieval")) return false;
  if (std::ranges::any_of(keys, [&](std::int64_t each) { return (each > 1) == many; })) return false;
  report.add("spec.evaluation.slo[" + metric + "]",
             many ? "the suite of type retrieval has one key, which is measured as retrieval"
                  : "the suite of type retrieval has several keys, which are measured as multiKeyRetrieval",
             many ? "limit retrieval, or add {type: retrieval, keys: 4} to spec.evaluation.suites"
                  : "limit multiKeyRetrieval, or add {type: retrieval} to spec.evaluation.suites");
  return true;
}

void unmeasured_limit(const Subject& subject, Report& report) {
  const std::vector<std::string> suites = suite_types(subject.spec.evaluation);
  for (const MetricNeeds& row : kNeeds) {
    const std::string metric(row.metric);
    if (!subject.spec.evaluation.slo.contains(metric)) continue;
    if (measured_by_the_other(subject, metric, report)) continue;
    if (std::ranges::find(suites, row.suite) != suites.end()) continue;
    report.add(
        "spec.evaluation.slo[" + metric + "]",
        metric + " is measured by a suite of type " + std::string(row.suite) + ", which is missing",
        "add {type: " + std::string(row.suite) + std::string(row.options) + "} to spec.evaluation.suites");
  }
}

void impossible_limit(const Subject& subject, Report& report) {
  for (const auto& [metric, slo] : subject.spec.evaluation.slo) {
    const bool rate = std::ranges::find(kNeeds, metric, &MetricNeeds::metric) != std::end(kNeeds);
    if (rate && ((slo.min && (*slo.min > 1 || *slo.min < 0)) || (slo.max_drop && *slo.max_drop > 1))) {
      report.add("spec.evaluation.slo[" + metric + "]", metric + " is a share between 0 and 1");
    }
  }
}

/// No language is this surprising to a model that works: a uniform guess over a vocabulary of a thousand.
constexpr double kNonsense = 1000;

void bad_base(const Subject& subject, Report& report) {
  if (!subject.inventory.baseline) return;
  for (const auto& [metric, measured] : *subject.inventory.baseline) {
    if (!measured.value) continue;
    if (metric == "perplexity" && (!std::isfinite(*measured.value) || *measured.value > kNonsense)) {
      report.add("spec.model.source", "FP16 itself has a perplexity of " + std::to_string(*measured.value) +
                                          " on the evaluation prompts (measured)");
      continue;
    }
    const auto slo = subject.spec.evaluation.slo.find(metric);
    if (slo == subject.spec.evaluation.slo.end()) continue;
    const bool below = slo->second.min && *measured.value < *slo->second.min;
    const bool above = slo->second.max && *measured.value > *slo->second.max;
    if (below || above) {
      report.add(
          "spec.evaluation.slo[" + metric + "]",
          "FP16 itself reaches " + std::to_string(*measured.value) + " (measured), which misses the limit",
          "mend the base or the limit: no candidate can be held to more than FP16 does", Severity::kWarning);
    }
  }
}

constexpr Rule kRules[] = {
    {"SD012", Severity::kWarning, "Candidates are not evaluated",
     "Fluent and wrong looks healthy to a canary.", "model: {source: \"pvc://models/llama\"}",
     "give held-out prompts and an slo", no_evaluation},
    {"SD014", Severity::kError, "A limit on a metric that is never measured",
     "It would never hold, or never be looked at.", "evaluation: {slo: {jsonpass: {min: 0.95}}}",
     "use a metric of the report", unknown_metric},
    {"SD023", Severity::kWarning, "Benchmarking on multiple choice only",
     "Picking a letter survives quantization that breaks long answers, JSON and arithmetic.",
     "evaluation: {dataset: \"pvc://data/mmlu.jsonl\"}",
     "add a suite that generates: jsonSchema, exactMatch, citation or refusal on own prompts",
     multiple_choice_only},
    {"SD025", Severity::kError, "A bad base",
     "When FP16 itself fails, every comparison with it is meaningless.",
     "model: {source: \"pvc://models/broken-merge\"}",
     "mend the base: a bad merge, a wrong chat template or damaged files", bad_base},
    {"SD030", Severity::kWarning, "No SLO",
     "The smallest candidate that meets every SLO wins; without any, the smallest wins.",
     "evaluation: {dataset: \"pvc://data/heldout.jsonl\"}",
     "set spec.evaluation.slo, with maxDrop against FP16", no_limits},
    {"SD031", Severity::kNote, "No comparison with FP16",
     "An absolute limit alone does not tell a bad candidate from hard prompts.",
     "evaluation: {slo: {jsonPass: {min: 0.95}}}", "add maxDrop to a limit", no_comparison},
    {"SD034", Severity::kNote, "No load test, or none at long context",
     "Latency under concurrency and answers at long context are what quantization of weights and cache "
     "change first.",
     "evaluation: {slo: {jsonPass: {min: 0.95}}}", "add latencyP99Ms and longContext to spec.evaluation.slo",
     no_load_test},
    {"SD054", Severity::kError, "A limit whose suite is missing",
     "The metric is not in the report, so no candidate can meet it.",
     "evaluation: {dataset: \"pvc://data/a.jsonl\", slo: {citation: {min: 0.9}}}", "add the suite",
     unmeasured_limit},
    {"SD055", Severity::kError, "A limit that nothing can meet", "Rates are shares, not percent.",
     "evaluation: {slo: {jsonPass: {min: 95}}}", "write 0.95 for 95 %", impossible_limit},
};

}  // namespace

std::span<const Rule> evaluation_rules() {
  return kRules;
}

}  // namespace stepdown::compat
