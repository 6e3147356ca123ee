#include "engine/eval/evaluate_command.h"

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/log.h"
#include "engine/base/progress.h"
#include "engine/base/system_facts.h"
#include "engine/base/termination_log.h"
#include "engine/base/version.h"
#include "engine/eval/divergence.h"
#include "engine/eval/evaluation.h"
#include "engine/eval/evaluation_memory.h"
#include "engine/eval/kv_check.h"
#include "engine/eval/metric_kinds.h"
#include "engine/runtime/device_option.h"
#include "engine/runtime/engine.h"
#include "engine/runtime/memory_demand.h"

namespace stepdown::eval {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLlamaCpp = "llama.cpp";
constexpr const char* kLmEval = "lm-eval";

struct Options {
  std::string model, reference, url, served_model_name, dataset, suites = "[]", text, baseline, report, html,
                                                                 kv_type = "f16", convention = kLlamaCpp;
  std::vector<std::string> adapters;
  std::string termination_log = kTerminationLog;
  std::int64_t context = 0, concurrency = 2, max_tokens = 512;
  double max_attention_error = 0;
  int threads = 0;
  kernels::cuda::DeviceRequest device;
};

nlohmann::json parse_suites(const std::string& text) {
  auto suites = nlohmann::json::parse(text.starts_with('[') ? text : read_file(text), nullptr, false);
  if (suites.is_discarded())
    throw InputError("not JSON", "--suites", "give the array of spec.evaluation.suites");
  return suites;
}

/// The file-system half of a Report: what was measured, and what the figures are valid for.
nlohmann::json setting_json(const Options& options, const runtime::Engine& engine) {
  const runtime::EngineOptions& resolved = engine.options();
  nlohmann::json setting = {
      {"engine", "stepdown " + std::string(kVersion)},
      {"concurrency", options.concurrency},
      {"hardware", engine.device() == "cpu" ? cpu_name() : std::string(engine.device())},
      {"threads", resolved.threads},
      {"context", resolved.context},
      {"kvType", options.kv_type}};
  if (!options.dataset.empty()) setting["dataset"] = "sha256:" + artifact_digest(options.dataset);
  return setting;
}

model::KvType kv_type(const Options& options) {
  const auto type = model::kv_type_of(options.kv_type);
  if (!type) {
    throw InputError("unknown KV type \"" + options.kv_type + "\"", "--kv-type",
                     std::string("use one of ") + model::kKvTypeNames);
  }
  return *type;
}

runtime::EngineOptions engine_options(const Options& options,
                                      const std::vector<std::int64_t>& f16_kv_layers) {
  // lm-eval's windows predict as many tokens as they read, the last of them unread.
  const bool rolling = !options.text.empty() && options.convention == kLmEval && options.context > 0;
  return {.context = options.context + (rolling ? 1 : 0),
          .max_sequences = options.concurrency,
          .kv_type = kv_type(options),
          .f16_kv_layers = f16_kv_layers,
          .threads = options.threads,
          .device = options.device};
}

void measure_text(Report& report, runtime::Engine& engine, const formats::TokenizerData& names,
                  const Options& options) {
  const std::string text = read_file(options.text);
  const std::int64_t context = options.context > 0 ? options.context : 512;
  PerplexityMeter meter;
  Progress progress("perplexity",
                    std::max<std::uint64_t>(text.size() / 4 / static_cast<std::uint64_t>(context), 1));
  const auto score = [&](auto tokens) { return engine.score(tokens); };
  const auto advance = [&] { progress.advance(); };
  if (options.convention == kLmEval) {
    if (!names.bos && !names.eos) {
      throw InputError("lm-eval's windows begin behind one of these tokens, and the tokenizer has neither",
                       "bos_token, eos_token", std::string("use --convention ") + kLlamaCpp);
    }
    const tokenizer::TokenId prefix = names.bos ? *names.bos : *names.eos;
    add_rolling_text(meter, score, *engine.tokenizer(), text, prefix, context, advance);
    const auto bytes = static_cast<std::int64_t>(text.size());
    const double byte_perplexity = meter.perplexity_over(bytes);
    report.metrics["wordPerplexity"] = {.value = meter.perplexity_over(words_of(text)), .n = words_of(text)};
    report.metrics["bytePerplexity"] = {.value = byte_perplexity, .n = bytes};
    report.metrics["bitsPerByte"] = {.value = std::log2(byte_perplexity), .n = bytes};
  } else {
    add_text(meter, score, *engine.tokenizer(), text, context, advance);
  }
  if (meter.tokens() == 0) {
    throw InputError("the text is shorter than one context of " + std::to_string(context) + " tokens",
                     options.text, "give a longer text or a smaller --context");
  }
  report.metrics["perplexity"] = {.value = meter.perplexity(), .n = meter.tokens()};
  report.likelihoods["perplexity"] = meter.texts();
}

std::int64_t longest_of(const std::vector<SampleTokens>& sequences) {
  std::size_t longest = 0;
  for (const SampleTokens& sequence : sequences) longest = std::max(longest, sequence.tokens.size());
  return static_cast<std::int64_t>(longest);
}

/// The run takes what its hungriest step does.
void predict(Report& report, std::optional<std::int64_t> step) {
  if (step) report.predicted_memory = std::max(report.predicted_memory.value_or(0), *step);
}

/// Both models over the same tokens: how far their distributions lie apart. After the engine is gone, so that
/// three copies of the weights are never in memory, and its peak is known already.
void measure_reference(Report& report, const Options& options, const std::vector<Sample>& samples,
                       const std::vector<std::int64_t>& f16_kv_layers) {
  const auto candidate = formats::open_model(options.model);
  const auto reference = formats::open_model(options.reference);
  const tokenizer::ChatEncoder encoder(std::make_shared<const tokenizer::Tokenizer>(candidate->tokenizer()),
                                       candidate->tokenizer());
  const std::int64_t context = std::min<std::int64_t>(options.context > 0 ? options.context : 2048,
                                                      candidate->config().context_length);
  std::vector<SampleTokens> sequences;
  for (const Sample& sample : samples) {
    if (!sample.brought_by_suite) sequences.push_back(tokens_of(encoder, sample, context));
  }
  if (report.predicted_memory) {
    predict(report, divergence_memory(*candidate, *reference, kv_type(options), longest_of(sequences)));
  }
  Progress progress("divergence", sequences.size(), " prompts");
  const Divergence found = measure_divergence(*candidate, *reference, sequences,
                                              {.context = context,
                                               .kv_type = kv_type(options),
                                               .f16_kv_layers = f16_kv_layers,
                                               .threads = options.threads,
                                               .on_sequence = [&] { progress.advance(); }});
  report.metrics["kld"] = {.value = found.mean, .n = found.tokens, .interval = found.mean_interval};
  report.metrics["kldP99"] = {.value = found.p99, .n = found.tokens};
  report.metrics["topTokenAgreement"] = {
      .value = found.top_agreement, .n = found.tokens, .interval = found.agreement_interval};
  report.peak_memory = std::max(report.peak_memory, peak_memory_bytes());
}

std::optional<std::int64_t> predicted_answering(const formats::ModelFile& file, const Options& options,
                                                const std::vector<std::int64_t>& f16_kv_layers,
                                                const std::vector<Sample>& samples,
                                                const std::vector<std::unique_ptr<Suite>>& suites) {
  const runtime::EngineOptions engine = engine_options(options, f16_kv_layers);
  const auto demand = runtime::memory_demand(file, engine);
  if (!demand) return std::nullopt;
  std::int64_t cached = 0;
  if (!samples.empty()) {
    const tokenizer::ChatEncoder encoder(std::make_shared<const tokenizer::Tokenizer>(file.tokenizer()),
                                         file.tokenizer());
    cached = cached_tokens(encoder, samples,
                           {.context = demand->asked.context,
                            .concurrency = options.concurrency,
                            .max_tokens = options.max_tokens,
                            .constrained = std::ranges::any_of(
                                suites, [](const auto& suite) { return suite->schema() != nullptr; })});
  }
  if (!options.text.empty()) cached = std::max(cached, options.context > 0 ? options.context : 512);
  return answering_memory(file, engine, cached);
}

/// Which layers may keep a quantized cache, by the attention check; the others stay F16. Before the engine is
/// started, as the check runs a decoder of its own.
std::vector<std::int64_t> measure_cache(Report& report, const formats::ModelFile& file,
                                        const Options& options, const std::vector<Sample>& samples) {
  const model::KvType type = kv_type(options);
  if (type == model::KvType::kF16) return {};
  if (samples.empty()) {
    throw InputError("a quantized KV cache is checked on prompts", "--kv-type " + options.kv_type,
                     "give --dataset");
  }
  const tokenizer::ChatEncoder encoder(std::make_shared<const tokenizer::Tokenizer>(file.tokenizer()),
                                       file.tokenizer());
  const std::int64_t context = std::min(kCheckedTokens, file.config().context_length);
  constexpr std::size_t kWindows = 2;
  constexpr double kWordsAToken = 0.4;  // of the retrieval texts, with room for the question
  std::vector<SampleTokens> prompts, retrievals;
  for (const Sample& sample : samples) {
    if (!sample.brought_by_suite) prompts.push_back(tokens_of(encoder, sample, context));
  }
  const auto words = static_cast<std::int64_t>(kWordsAToken * static_cast<double>(context));
  for (const auto& suite : make_suites({{{"type", "retrieval"}, {"count", 5}, {"words", words}}})) {
    for (const Sample& sample : suite->prompts()) {
      SampleTokens one = tokens_of(encoder, sample, context);
      if (one.tokens.size() > one.counted_from) retrievals.push_back(std::move(one));
    }
  }
  const auto windows = packed(prompts, context, kWindows);
  predict(report, cache_check_memory(file, type, std::max(longest_of(windows), longest_of(retrievals))));
  Progress progress("KV cache check", 2 * (windows.size() + retrievals.size()), " prompts");
  const KvCheck check =
      check_kv(file, windows, retrievals,
               {.type = type,
                .max_attention_error = options.max_attention_error > 0 ? options.max_attention_error
                                                                       : usual_attention_error(type),
                .context = context,
                .threads = options.threads,
                .on_sequence = [&] { progress.advance(); }});
  report.kv_cache = to_json(check);
  report.metrics["attentionError"] = {.value = *std::ranges::max_element(check.errors), .n = check.tokens};
  if (check.tokens < kCheckedTokens) {
    report.warnings.push_back("the KV cache was checked on " + std::to_string(check.tokens) + " tokens; " +
                              std::to_string(kCheckedTokens) + " are asked for");
  }
  return check.f16_layers;
}

/// Answers the layers whose cache stays F16.
std::vector<std::int64_t> measure_candidate(Report& report, const Options& options,
                                            const std::vector<Sample>& samples,
                                            const std::vector<std::unique_ptr<Suite>>& suites) {
  auto file =
      formats::open_model(options.model, formats::parse_adapters(options.adapters), formats::Merged::kAsBase);
  const formats::TokenizerData tokenizer = file->tokenizer();
  report.model = {{"digest", "sha256:" + artifact_digest(options.model)}, {"format", file->format()}};
  const std::vector<std::int64_t> f16_kv_layers = measure_cache(report, *file, options, samples);
  predict(report, predicted_answering(*file, options, f16_kv_layers, samples, suites));
  report.peak_memory = peak_memory_bytes();
  reset_peak_memory();  // the check's decoder is no part of what serving takes
  runtime::Engine engine(std::move(file), engine_options(options, f16_kv_layers));
  report.setting = setting_json(options, engine);
  if (engine.device() != "cpu") report.predicted_memory.reset();
  if (!options.text.empty()) measure_text(report, engine, tokenizer, options);
  if (!samples.empty()) {
    const tokenizer::ChatEncoder encoder(engine.tokenizer(), tokenizer);
    const auto answerer = make_engine_answerer(engine, encoder);
    Progress progress("evaluate", 2 * samples.size(), " prompts");
    const EvaluationOptions evaluation{.concurrency = options.concurrency,
                                       .max_tokens = options.max_tokens,
                                       .context = engine.options().context,
                                       .on_answer = [&] { progress.advance(); }};
    run_suites(report, *answerer, samples, suites, evaluation);
    run_perplexity(
        report, [&](auto tokens) { return engine.score(tokens); }, encoder, samples, evaluation);
  }
  report.metrics["peakMemoryBytes"] = {.value = static_cast<double>(peak_memory_bytes()), .n = 1};
  report.peak_memory = std::max(report.peak_memory, peak_memory_bytes());
  return f16_kv_layers;
}

Report measure_engine(const Options& options, const std::vector<Sample>& samples,
                      const std::vector<std::unique_ptr<Suite>>& suites) {
  // A reference that cannot be used is told before the long work, not behind it.
  if (!options.reference.empty()) formats::open_model(options.reference);
  Report report;
  const auto f16_kv_layers = measure_candidate(report, options, samples, suites);
  if (!options.reference.empty()) measure_reference(report, options, samples, f16_kv_layers);
  return report;
}

Report measure_url(const Options& options, const std::vector<Sample>& samples,
                   const std::vector<std::unique_ptr<Suite>>& suites) {
  Report report;
  report.model = {{"url", options.url}, {"name", options.served_model_name}};
  report.setting = {{"concurrency", options.concurrency},
                    {"dataset", options.dataset.empty() ? "" : "sha256:" + artifact_digest(options.dataset)}};
  const char* key = std::getenv("OPENAI_API_KEY");
  const auto answerer = make_http_answerer(options.url, options.served_model_name, key == nullptr ? "" : key);
  Progress progress("evaluate", samples.size(), " prompts");
  run_suites(report, *answerer, samples, suites,
             {.concurrency = options.concurrency, .max_tokens = options.max_tokens, .on_answer = [&] {
                progress.advance();
              }});
  for (const SampleResult& sample : report.samples) {
    if (!sample.error.empty())
      throw Error(sample.error, options.url, "check that the server runs and serves --name");
  }
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
    for (const auto& message : sample.messages) {
      const auto content = message.find("content");
      if (content == message.end()) continue;
      text += message.value("role", "") + ": " +
              (content->is_string() ? content->get<std::string>() : content->dump()) + "\n";
    }
  }
  return prompts;
}

int run(const Options& options) {
  if (options.model.empty() == options.url.empty()) {
    throw InputError("give exactly one of --model and --url", "command line");
  }
  const auto start = std::chrono::steady_clock::now();
  const nlohmann::json suite_config = parse_suites(options.suites);
  const auto suites = make_suites(suite_config);
  auto samples = options.dataset.empty() ? std::vector<Sample>{} : read_dataset(options.dataset);
  for (const auto& suite : suites) {
    samples.insert(samples.end(), suite->prompts().begin(), suite->prompts().end());
  }
  if (samples.empty() && (options.text.empty() || options.model.empty())) {
    throw InputError("nothing to measure", "command line",
                     "give --dataset, suites with prompts of their own, or --model with --text");
  }
  if (!options.reference.empty() && (options.model.empty() || samples.empty())) {
    throw InputError("compares two models on prompts", "--reference", "give --model and --dataset with it");
  }
  std::optional<Report> baseline;
  if (!options.baseline.empty()) baseline = read_report(options.baseline);
  Report report =
      options.url.empty() ? measure_engine(options, samples, suites) : measure_url(options, samples, suites);
  if (baseline) compare(report, *baseline);
  for (const std::string& warning : warnings_about(suite_config)) report.warnings.push_back(warning);
  for (const std::string& warning : report.warnings) log::warn(warning);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const std::string& path : {options.report, options.html}) {
    if (!path.empty() && fs::path(path).has_parent_path())
      fs::create_directories(fs::path(path).parent_path());
  }
  if (!options.report.empty()) write_file_atomically(options.report, text_of(report));
  if (!options.html.empty())
    write_file_atomically(options.html, to_html(report, baseline, prompts_of(samples)));
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
