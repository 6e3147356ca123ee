#include "engine/eval/measure_model.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/progress.h"
#include "engine/base/system_facts.h"
#include "engine/base/version.h"
#include "engine/eval/divergence.h"
#include "engine/eval/evaluation.h"
#include "engine/eval/evaluation_memory.h"
#include "engine/eval/kv_check.h"
#include "engine/runtime/engine.h"
#include "engine/runtime/memory_demand.h"

namespace stepdown::eval {
namespace {

/// The file-system half of a Report: what was measured, and what the figures are valid for.
nlohmann::json setting_json(const MeasureOptions& options, const runtime::Engine& engine) {
  const runtime::EngineOptions& resolved = engine.options();
  nlohmann::json setting = {
      {"engine", "stepdown " + std::string(kVersion)},
      {"concurrency", options.concurrency},
      {"hardware", engine.device() == "cpu" ? cpu_name() : std::string(engine.device())},
      {"threads", resolved.threads},
      {"context", resolved.context},
      {"kvType", options.kv_type}};
  if (!options.dataset_digest.empty()) setting["dataset"] = options.dataset_digest;
  return setting;
}

model::KvType kv_type(const MeasureOptions& options) {
  const auto type = model::kv_type_of(options.kv_type);
  if (!type) {
    throw InputError("unknown KV type \"" + options.kv_type + "\"", "--kv-type",
                     std::string("use one of ") + model::kKvTypeNames);
  }
  return *type;
}

runtime::EngineOptions engine_options(const MeasureOptions& options,
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
                  const MeasureOptions& options) {
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

/// The base with the adapters that a candidate may be made of: as FP16 is served.
std::unique_ptr<formats::ModelFile> open_reference(const MeasureOptions& options) {
  return formats::open_model(options.reference, formats::parse_adapters(options.reference_adapters),
                             formats::Merged::kAsBase);
}

/// Both models over the same tokens: how far their distributions lie apart. After the engine is gone, so that
/// three copies of the weights are never in memory, and its peak is known already.
void measure_reference(Report& report, const MeasureOptions& options, const std::vector<Sample>& samples,
                       const std::vector<std::int64_t>& f16_kv_layers) {
  const auto candidate =
      formats::open_model(options.model, formats::parse_adapters(options.adapters), formats::Merged::kAsBase);
  const auto reference = open_reference(options);
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

std::optional<std::int64_t> predicted_answering(const formats::ModelFile& file, const MeasureOptions& options,
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
                                        const MeasureOptions& options, const std::vector<Sample>& samples) {
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
std::vector<std::int64_t> measure_candidate(Report& report, const MeasureOptions& options,
                                            const std::vector<Sample>& samples,
                                            const std::vector<std::unique_ptr<Suite>>& suites) {
  const auto adapters = formats::parse_adapters(options.adapters);
  auto file = formats::open_model(options.model, adapters, formats::Merged::kAsBase);
  const formats::TokenizerData tokenizer = file->tokenizer();
  report.model = {{"digest", "sha256:" + artifact_digest(options.model)}, {"format", file->format()}};
  if (!adapters.empty()) report.model["adapters"] = formats::adapters_json(adapters);
  runtime::resolved(engine_options(options, {}), file->config());  // refuses before the long work
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

}  // namespace

Report measure_model(const MeasureOptions& options, const std::vector<Sample>& samples,
                     const std::vector<std::unique_ptr<Suite>>& suites) {
  // A reference that cannot be used is told before the long work, not behind it.
  if (!options.reference.empty()) open_reference(options);
  Report report;
  const auto f16_kv_layers = measure_candidate(report, options, samples, suites);
  if (!options.reference.empty()) measure_reference(report, options, samples, f16_kv_layers);
  return report;
}

}  // namespace stepdown::eval
