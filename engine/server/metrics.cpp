#include "engine/server/metrics.h"

#include <algorithm>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "engine/base/system_facts.h"

namespace stepdown::server {
namespace {

using prometheus::Counter;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;
using prometheus::Registry;

const Histogram::BucketBoundaries kTokenSeconds = {0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08,
                                                   0.15,  0.3,    0.6,   1.2,  2.5,  5};
const Histogram::BucketBoundaries kRequestSeconds = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,  2.5,
                                                     5,    10,    20,   40,  80,   160, 320};

Gauge& gauge(Registry& registry, const std::string& name, const std::string& help, const Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels);
}
Counter& counter(Registry& registry, const std::string& name, const std::string& help, const Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels);
}
Histogram& histogram(Registry& registry, const std::string& name, const std::string& help,
                     const Labels& labels, const Histogram::BucketBoundaries& buckets) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(labels, buckets);
}

}  // namespace

struct Metrics::State {
  explicit State(const Labels& model) : labels(model) {}

  Labels labels;
  Registry registry;
  Gauge& running = gauge(registry, "vllm:num_requests_running", "Sequences being decoded", labels);
  Gauge& waiting = gauge(registry, "vllm:num_requests_waiting", "Sequences in the queue", labels);
  Gauge& kv_usage =
      gauge(registry, "vllm:kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1", labels);
  Gauge& steps = gauge(registry, "stepdown_engine_steps", "Forward steps since start", labels);
  Gauge& peak_memory = gauge(registry, "stepdown_engine_memory_peak_bytes",
                             "Most memory that the process has held (VmHWM)", labels);
  prometheus::Family<Gauge>& predicted_memory =
      prometheus::BuildGauge()
          .Name("stepdown_engine_memory_predicted_bytes")
          .Help("What it was predicted to hold once its cache is full; absent where that is not known")
          .Register(registry);
  Counter& prompt = counter(registry, "vllm:prompt_tokens_total",
                            "Tokens of the prompts that were computed, or found in the cache", labels);
  Counter& generated =
      counter(registry, "vllm:generation_tokens_total", "Tokens generated for requests", labels);
  Histogram& first = histogram(registry, "vllm:time_to_first_token_seconds", "From request to first token",
                               labels, kRequestSeconds);
  Histogram& between = histogram(registry, "vllm:inter_token_latency_seconds",
                                 "Between tokens of one sequence", labels, kTokenSeconds);
  Histogram& whole = histogram(registry, "vllm:e2e_request_latency_seconds", "From request to its end",
                               labels, kRequestSeconds);
  Histogram& queue = histogram(registry, "vllm:request_queue_time_seconds", "From arrival to the first step",
                               labels, kRequestSeconds);
  Histogram& prefill = histogram(registry, "vllm:request_prefill_time_seconds",
                                 "From the first step to the first token", labels, kRequestSeconds);
  Histogram& decode = histogram(registry, "vllm:request_decode_time_seconds",
                                "From the first token to the last", labels, kRequestSeconds);
  Histogram& inference = histogram(registry, "vllm:request_inference_time_seconds",
                                   "From the first step to the last token", labels, kRequestSeconds);
  Counter& prefix_queries = counter(registry, "vllm:prefix_cache_queries_total",
                                    "Prompt tokens that were looked up in the prefix cache", labels);
  Counter& prefix_hits = counter(registry, "vllm:prefix_cache_hits_total",
                                 "Prompt tokens that were found there and not computed again", labels);
  Counter& preemptions = counter(registry, "vllm:num_preemptions_total",
                                 "Sequences that stepped back for others' memory", labels);
  Counter& drafted =
      counter(registry, "vllm:spec_decode_num_draft_tokens_total", "Tokens that were guessed ahead", labels);
  Counter& held = counter(registry, "vllm:spec_decode_num_accepted_tokens_total",
                          "Guessed tokens that the model chose too", labels);
  prometheus::Family<Counter>& success = prometheus::BuildCounter()
                                             .Name("vllm:request_success_total")
                                             .Help("Sequences by how they ended")
                                             .Register(registry);
  prometheus::Family<Counter>& answers = prometheus::BuildCounter()
                                             .Name("stepdown_http_answers_total")
                                             .Help("HTTP answers by path and status")
                                             .Register(registry);
};

Metrics::Metrics(const std::string& model, const std::string& revision)
    : state_(std::make_unique<State>(Labels{{"model_name", model}, {"revision", revision}})) {}
Metrics::~Metrics() = default;

void Metrics::prompt_tokens(std::int64_t count) {
  state_->prompt.Increment(static_cast<double>(count));
}

void Metrics::token(double seconds, bool first) {
  state_->generated.Increment();
  (first ? state_->first : state_->between).Observe(seconds);
}

void Metrics::finished(const std::string& reason, double seconds) {
  Labels labels = state_->labels;
  labels["finished_reason"] = reason;
  state_->success.Add(labels).Increment();
  state_->whole.Observe(seconds);
}

void Metrics::timing(const runtime::Timing& timing) {
  state_->queue.Observe(timing.queue);
  state_->prefill.Observe(timing.prefill);
  state_->decode.Observe(timing.decode);
  state_->inference.Observe(timing.prefill + timing.decode);
}

void Metrics::answered(const std::string& path, int status) {
  state_->answers.Add({{"path", path}, {"status", std::to_string(status)}}).Increment();
}

std::string Metrics::expose(const runtime::EngineStats& stats, std::optional<std::int64_t> predicted_memory) {
  state_->running.Set(static_cast<double>(stats.running));
  state_->waiting.Set(static_cast<double>(stats.waiting));
  state_->kv_usage.Set(stats.kv_usage);
  state_->steps.Set(static_cast<double>(stats.steps));
  state_->peak_memory.Set(static_cast<double>(peak_memory_bytes()));
  if (predicted_memory)
    state_->predicted_memory.Add(state_->labels).Set(static_cast<double>(*predicted_memory));
  const auto raise = [](Counter& counter, std::uint64_t to) {
    counter.Increment(std::max(0.0, static_cast<double>(to) - counter.Value()));
  };
  raise(state_->prefix_queries, stats.prefix_queries);
  raise(state_->prefix_hits, stats.prefix_hits);
  raise(state_->preemptions, stats.preemptions);
  raise(state_->drafted, stats.drafted_tokens);
  raise(state_->held, stats.held_tokens);
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace stepdown::server
