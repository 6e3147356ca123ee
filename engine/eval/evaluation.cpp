#include "engine/eval/evaluation.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>

#include "engine/eval/statistics.h"

namespace stepdown::eval {
namespace {

constexpr std::int64_t kLongContextWindows = 8;

/// Calls `work(i)` for i < count on `threads` threads; the first exception is thrown here after all have
/// ended.
void for_each_index(std::size_t count, std::size_t threads, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto run = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  {
    std::vector<std::jthread> pool;
    for (std::size_t i = 1; i < std::min(threads, count); ++i) pool.emplace_back(run);
    run();
  }
  if (failure) std::rethrow_exception(failure);
}

const nlohmann::ordered_json* schema_of(std::span<const std::unique_ptr<Suite>> suites) {
  for (const auto& suite : suites) {
    if (suite->schema() != nullptr) return suite->schema();
  }
  return nullptr;
}

void add_means(Report& report) {
  std::map<std::string, std::vector<double>> values;
  std::vector<double> latencies;
  for (const SampleResult& sample : report.samples) {
    for (const auto& [name, score] : sample.scores) values[name].push_back(score);
    if (sample.finish_reason != "error") latencies.push_back(sample.latency_ms);
  }
  for (const auto& [name, scores] : values) {
    report.metrics[name] = {.value = mean(scores), .n = static_cast<std::int64_t>(scores.size())};
  }
  const auto answered = static_cast<std::int64_t>(latencies.size());
  report.metrics["latencyP50Ms"] = {.value = quantile(latencies, 0.5), .n = answered};
  report.metrics["latencyP99Ms"] = {.value = quantile(latencies, 0.99), .n = answered};
}

/// Such as prompts that are longer than the context: of two models that answer none of them, neither is
/// worse.
void warn_of_failures(Report& report) {
  const auto failed = [](const SampleResult& sample) { return !sample.error.empty(); };
  const auto first = std::ranges::find_if(report.samples, failed);
  if (first == report.samples.end()) return;
  report.warnings.push_back(std::to_string(std::ranges::count_if(report.samples, failed)) + " of " +
                            std::to_string(report.samples.size()) +
                            " prompts had no answer and count as wrong: " + first->id + ": " + first->error);
}

}  // namespace

void run_suites(Report& report, Answerer& answerer, std::span<const Sample> samples,
                std::span<const std::unique_ptr<Suite>> suites, const EvaluationOptions& options) {
  using Clock = std::chrono::steady_clock;
  const nlohmann::ordered_json* schema = schema_of(suites);
  report.samples.assign(samples.size(), {});
  std::mutex progress;
  const auto start = Clock::now();
  std::atomic<std::int64_t> tokens{0};
  for_each_index(samples.size(), static_cast<std::size_t>(std::max<std::int64_t>(options.concurrency, 1)),
                 [&](std::size_t i) {
                   Answers answers;
                   AnswerOptions asked{.max_tokens = options.max_tokens};
                   answers.free = answerer.answer(samples[i], asked);
                   tokens += answers.free.tokens;
                   if (schema != nullptr && !samples[i].brought_by_suite) {
                     asked.schema = schema;
                     answers.constrained = answerer.answer(samples[i], asked);
                     tokens += answers.constrained->tokens;
                   }
                   SampleResult& result = report.samples[i];
                   const Answer& served = answers.served();
                   result.id = samples[i].id;
                   result.latency_ms = served.latency_ms;
                   result.tokens = served.tokens;
                   result.text = served.text;
                   result.finish_reason = served.finish_reason;
                   result.error = served.error;
                   for (const auto& suite : suites) {
                     if (samples[i].brought_by_suite && suite->prompts().empty()) continue;
                     suite->score(samples[i], answers, result.scores);
                   }
                   const std::lock_guard lock(progress);
                   if (options.on_answer) options.on_answer();
                 });
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  add_means(report);
  warn_of_failures(report);
  report.metrics["tokensPerSecond"] = {.value = static_cast<double>(tokens) / std::max(seconds, 1e-9),
                                       .n = tokens};
}

void run_perplexity(Report& report, const Scorer& score, const tokenizer::ChatEncoder& encoder,
                    std::span<const Sample> samples, const EvaluationOptions& options) {
  PerplexityMeter answers;
  for (const Sample& sample : samples) {
    if (sample.brought_by_suite) continue;
    add_sample(answers, score, encoder, sample, options.context);
    if (options.on_answer) options.on_answer();
  }
  if (answers.tokens() > 0) {
    report.metrics["perplexity"] = {.value = answers.perplexity(), .n = answers.tokens()};
    report.likelihoods["perplexity"] = answers.texts();
  }
  PerplexityMeter ends;
  add_long_context(ends, score, encoder, samples, options.context, kLongContextWindows);
  if (ends.tokens() == 0) return;
  report.metrics["longContext"] = {.value = ends.perplexity(), .n = ends.tokens()};
  report.likelihoods["longContext"] = ends.texts();
}

}  // namespace stepdown::eval
