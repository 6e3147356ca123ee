#include "engine/eval/evaluate_command.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <set>
#include <span>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/bounded_json.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/log.h"
#include "engine/base/output_place.h"
#include "engine/base/progress.h"
#include "engine/base/termination_log.h"
#include "engine/eval/evaluation.h"
#include "engine/eval/measure_model.h"
#include "engine/eval/metric_kinds.h"
#include "engine/model/kv_type.h"
#include "engine/runtime/device_option.h"

namespace stepdown::eval {
namespace {

struct Options : MeasureOptions {
  std::string dataset, url, served_model_name, suites = "[]", baseline, report, html;
  std::string termination_log = kTerminationLog;
};

nlohmann::json parse_suites(const std::string& text) {
  const std::string read = text.starts_with('[') ? text : read_file(text);
  auto suites = nlohmann::json::parse(nests_too_deeply(read) ? "" : read, nullptr, false);
  if (suites.is_discarded())
    throw InputError("not JSON", "--suites", "give the array of spec.evaluation.suites");
  return suites;
}

Report measure_url(const Options& options, const std::vector<Sample>& samples,
                   const std::vector<std::unique_ptr<Suite>>& suites) {
  Report report;
  report.model = {{"url", options.url}, {"name", options.served_model_name}};
  report.setting = {{"concurrency", options.concurrency}, {"dataset", options.dataset_digest}};
  const char* key = std::getenv("OPENAI_API_KEY");
  const auto answerer = make_http_answerer(options.url, options.served_model_name, key == nullptr ? "" : key);
  Progress progress("evaluate", samples.size(), " prompts");
  run_suites(report, *answerer, samples, suites,
             {.concurrency = options.concurrency, .max_tokens = options.max_tokens, .on_answer = [&] {
                progress.advance();
              }});
  const auto failed = [](const SampleResult& sample) { return !sample.error.empty(); };
  if (!report.samples.empty() && std::ranges::all_of(report.samples, failed))
    throw Error(report.samples.front().error, options.url, "check that the server runs and serves --name");
  return report;
}

void print_table(const Report& report) {
  std::printf("%-20s %14s %14s %14s %26s %8s\n", "metric", "measured", "FP16", "difference", "95 % interval",
              "n");
  for (const auto& [name, metric] : report.metrics) {
    const Unit unit = metric_kind(name).unit;
    const auto cell = [&](const std::optional<double>& value, bool difference) {
      return value ? shown(*value, unit, difference) : std::string("-");
    };
    const std::string interval = metric.interval
                                     ? cell(metric.interval->low, metric.delta.has_value()) + " … " +
                                           cell(metric.interval->high, metric.delta.has_value())
                                     : "-";
    // A width counts bytes, and the dots are three.
    std::printf("%-20s %14s %14s %14s %*s %8lld\n", name.c_str(), cell(metric.value, false).c_str(),
                cell(metric.baseline, false).c_str(), cell(metric.delta, true).c_str(),
                metric.interval ? 28 : 26, interval.c_str(), static_cast<long long>(metric.n));
  }
}

/// An answer that ends within a character, where its tokens ran out, is shown with a mark in its place.
std::string text_of(const Report& report) {
  return to_json(report).dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Prompts prompts_of(const std::vector<Sample>& samples) {
  Prompts prompts;
  for (const Sample& sample : samples) {
    std::string& text = prompts[sample.id];
    if (!sample.tools.is_null()) text += "tools: " + sample.tools.dump() + "\n";
    for (const auto& message : sample.messages) {
      const auto content = message.find("content");
      if (content == message.end()) continue;
      text += message.value("role", "") + ": " +
              (content->is_string() ? content->get<std::string>() : content->dump()) + "\n";
    }
  }
  return prompts;
}

/// Prompts of suites have ids of their own, whatever stands in the data set and in other suites.
std::vector<Sample> all_samples(const Options& options, std::span<const std::unique_ptr<Suite>> suites) {
  auto samples = options.dataset.empty() ? std::vector<Sample>{} : read_dataset(options.dataset);
  std::set<std::string> ids;
  for (const Sample& sample : samples) ids.insert(sample.id);
  for (const auto& suite : suites) {
    for (Sample sample : suite->prompts()) {
      const std::string id = sample.id;
      for (int copy = 2; !ids.insert(sample.id).second; ++copy) sample.id = id + "-" + std::to_string(copy);
      samples.push_back(std::move(sample));
    }
  }
  return samples;
}

void refuse_unread(const Options& options) {
  if (!options.text.empty() && !options.dataset.empty()) {
    throw InputError("the perplexity is of a text or of prompts", "--text, --dataset", "give one of them");
  }
  const bool local =
      !options.text.empty() || !options.adapters.empty() || options.kv_type != "f16" || options.context != 0;
  if (!options.url.empty() && local) {
    throw InputError("belong to a model that runs here", "--text, --adapter, --kv-type, --context",
                     "leave them out, or give --model in place of --url");
  }
}

/// Prompts are paired by their ids, which are mostly numbers of lines.
void check_baseline(const Report& baseline, const Options& options) {
  const std::string wanted = baseline.setting.value("dataset", "");
  if (options.dataset_digest.empty() || wanted.empty() || wanted == options.dataset_digest) return;
  throw InputError("was measured on another data set, " + wanted, "--baseline " + options.baseline,
                   "measure it again on " + options.dataset);
}

/// No draw of prompts shows what none of them did: of n without a change, 3/n may still (the rule of three,
/// Hanley and Lippman-Hand 1983).
std::string few_prompts(const Report& report) {
  constexpr std::size_t kEnough = 100;
  const std::size_t count = report.samples.size();
  if (count == 0 || count >= kEnough) return "";
  return std::to_string(count) + " prompts are few: were none of them worse, " +
         std::to_string(std::min<std::size_t>(100, 300 / count)) + " % of others still could be";
}

int run(Options options) {
  if (options.model.empty() == options.url.empty()) {
    throw InputError("give exactly one of --model and --url", "command line");
  }
  const auto start = std::chrono::steady_clock::now();
  const nlohmann::json suite_config = parse_suites(options.suites);
  const auto suites = make_suites(suite_config);
  refuse_unread(options);
  require_termination_log(options.termination_log);
  if (!options.report.empty()) require_place_for(options.report, "--report");
  if (!options.html.empty()) require_place_for(options.html, "--html");
  const auto samples = all_samples(options, suites);
  if (!options.dataset.empty()) options.dataset_digest = "sha256:" + artifact_digest(options.dataset);
  if (samples.empty() && (options.text.empty() || options.model.empty())) {
    throw InputError("nothing to measure", "command line",
                     "give --dataset, suites with prompts of their own, or --model with --text");
  }
  if (!options.reference.empty() && (options.model.empty() || samples.empty())) {
    throw InputError("compares two models on prompts", "--reference", "give --model and --dataset with it");
  }
  if (options.reference.empty() && !options.reference_adapters.empty())
    throw InputError("belongs to a reference", "--reference-adapter", "give --reference with it");
  std::optional<Report> baseline;
  if (!options.baseline.empty()) {
    baseline = read_report(options.baseline);
    check_baseline(*baseline, options);
  }
  Report report =
      options.url.empty() ? measure_model(options, samples, suites) : measure_url(options, samples, suites);
  if (baseline) {
    compare(report, *baseline);
    if (const std::string warning = few_prompts(report); !warning.empty()) report.warnings.push_back(warning);
  }
  for (const std::string& warning : warnings_about(suite_config)) report.warnings.push_back(warning);
  for (const std::string& warning : report.warnings) log::warn(warning);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!options.report.empty()) write_output(options.report, text_of(report));
  if (!options.html.empty()) write_output(options.html, to_html(report, baseline, prompts_of(samples)));
  write_termination_log(options.termination_log, summary(report));
  print_table(report);
  return kDone;
}

}  // namespace

Command evaluate_command() {
  return {"evaluate", "Measure a model on held-out prompts, against a baseline", [](CLI::App& app) {
            auto options = std::make_shared<Options>();
            app.add_option("--model", options->model, "Model file or folder, run in this process");
            app.add_option("--adapter", options->adapters,
                           "A PEFT LoRA adapter that is part of the model, PATH[=WEIGHT]; may be repeated");
            app.add_option("--reference", options->reference,
                           "The FP16 model: adds KL divergence and top-token agreement over the data set");
            app.add_option("--reference-adapter", options->reference_adapters,
                           "A PEFT LoRA adapter that is part of it, PATH[=WEIGHT]; may be repeated");
            app.add_option("--url", options->url,
                           "Or: root of an OpenAI-compatible API, e.g. http://host:8000/v1");
            app.add_option("--name", options->served_model_name, "Model name to ask for at --url");
            app.add_option("--dataset", options->dataset, "Held-out prompts, JSONL");
            app.add_option("--suites", options->suites,
                           "spec.evaluation.suites as JSON, or a file that holds it");
            app.add_option("--text", options->text, "Plain text to measure perplexity on");
            app.add_option("--convention", options->convention,
                           "Whose windows and units --text is measured by")
                ->check(CLI::IsMember({kLlamaCpp, kLmEval}))
                ->capture_default_str();
            app.add_option("--baseline", options->baseline, "Report of the FP16 model to compare with");
            app.add_option("--report", options->report, "Write the full report here (JSON)");
            app.add_option("--html", options->html, "Write the report here as a page");
            app.add_option("--context", options->context, "Context length in tokens; 0: the model's own");
            app.add_option("--concurrency", options->concurrency, "Prompts answered together")
                ->check(CLI::Range(1, 256))
                ->capture_default_str();
            app.add_option("--max-tokens", options->max_tokens, "Longest answer in tokens")
                ->check(CLI::Range(1, 1 << 20))
                ->capture_default_str();
            app.add_option("--kv-type", options->kv_type, "KV cache type")
                ->type_name(model::kKvTypeNames)
                ->capture_default_str();
            app.add_option(
                   "--max-attention-error", options->max_attention_error,
                   "Layers whose attention errs more keep F16 [0.02 for int8, 0.06 for fp8, 0.2 for int4]")
                ->check(CLI::Range(0.0, 1.0));
            runtime::add_device_option(app, options->device);
            app.add_option("--threads", options->threads, "Threads; 0: all cores of this process")
                ->check(CLI::Range(0, 1024));
            app.add_option("--termination-log", options->termination_log, "Where a pod leaves its summary")
                ->capture_default_str();
            return [options] { return run(*options); };
          }};
}

}  // namespace stepdown::eval
