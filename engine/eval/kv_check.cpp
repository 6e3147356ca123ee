#include "engine/eval/kv_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <nlohmann/json.hpp>

#include "engine/eval/sequence_runner.h"
#include "engine/eval/statistics.h"
#include "engine/model/attention.h"

namespace stepdown::eval {
namespace {

using model::KvCache;
using model::KvType;

/// Keeps a second cache of another type beside the decoder's, and measures what attention makes of it.
class CacheProbe final : public model::AttentionProbe {
 public:
  CacheProbe(const formats::ModelConfig& config, KvType type, std::int64_t context, int threads)
      : shape_{config.layers, config.kv_heads, config.head_dim},
        width_(config.heads * config.head_dim),
        cache_(shape_, model::kv_types(type, config.layers, {}),
               (context + KvCache::kPageTokens - 1) / KvCache::kPageTokens),
        attention_(cache_, config.heads, context, threads),
        errors_(static_cast<std::size_t>(config.layers)) {}

  void attended(kernels::ThreadPool& pool, const kernels::Operations& operations,
                const model::AttentionStep& step) override {
    store(step);
    out_.resize(static_cast<std::size_t>(step.rows * width_));
    attention_.run(pool, operations, step.layer, step.rule, step.slices, step.queries, width_, out_.data(),
                   width_);
    for (std::int64_t row = 0; row < step.rows; ++row) {
      errors_[static_cast<std::size_t>(step.layer)].push_back(
          error_of(step.out + row * width_, out_.data() + row * width_));
    }
  }

  std::vector<double> medians() const {
    std::vector<double> medians;
    for (const auto& errors : errors_) medians.push_back(quantile(errors, 0.5));
    return medians;
  }

 private:
  void store(const model::AttentionStep& step) {
    const std::int64_t width = shape_.kv_heads * shape_.head_dim;
    std::int64_t row = 0;
    for (const model::SequenceSlice& slice : step.slices) {
      for (std::size_t i = 0; i < slice.tokens.size(); ++i, ++row) {
        const std::int64_t position = slice.position + static_cast<std::int64_t>(i);
        const std::int32_t page = slice.pages[static_cast<std::size_t>(position / KvCache::kPageTokens)];
        cache_.store(step.layer, page, position % KvCache::kPageTokens, step.keys + row * width,
                     step.values + row * width);
      }
    }
  }

  /// Over all heads of one query; infinite when something is not finite.
  double error_of(const float* exact, const float* quantized) const {
    double lost = 0;
    double energy = 0;
    for (std::int64_t i = 0; i < width_; ++i) {
      const double difference = static_cast<double>(quantized[i]) - static_cast<double>(exact[i]);
      lost += difference * difference;
      energy += static_cast<double>(exact[i]) * static_cast<double>(exact[i]);
    }
    if (lost == 0 && std::isfinite(energy)) return 0;
    const double error = std::sqrt(lost / energy);
    return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
  }

  model::KvShape shape_;
  std::int64_t width_;
  KvCache cache_;
  model::Attention attention_;
  std::vector<float> out_;
  std::vector<std::vector<double>> errors_;  ///< by layer, of each query
};

/// One pass over all sequences.
struct Pass {
  PerplexityMeter meter;
  std::int64_t found = 0;
};

Pass run(SequenceRunner& runner, std::span<const SampleTokens> prompts,
         std::span<const SampleTokens> retrievals, const KvCheckOptions& options) {
  Pass pass;
  const auto over = [&](const SampleTokens& sequence, const auto& look) {
    const std::size_t length = std::min(sequence.tokens.size(), static_cast<std::size_t>(options.context));
    for (std::size_t start = 0; start < length; start += SequenceRunner::kStep) {
      const std::size_t count = std::min<std::size_t>(SequenceRunner::kStep, length - start);
      runner.run(std::span(sequence.tokens).subspan(start, count), static_cast<std::int64_t>(start));
      for (std::size_t i = 0; i < count && start + i + 1 < length; ++i) {
        if (start + i + 1 >= sequence.counted_from) look(runner.row(i), sequence.tokens[start + i + 1]);
      }
    }
    if (options.on_sequence) options.on_sequence();
  };
  for (const SampleTokens& prompt : prompts) {
    over(prompt, [&](std::span<const float> logits, tokenizer::TokenId next) {
      const auto logprob = static_cast<float>(logits[static_cast<std::size_t>(next)] - log_sum(logits));
      pass.meter.add({&logprob, 1});
    });
  }
  for (const SampleTokens& retrieval : retrievals) {
    bool whole = true;
    over(retrieval, [&](std::span<const float> logits, tokenizer::TokenId next) {
      whole = whole && std::ranges::max_element(logits) - logits.begin() == next;
    });
    pass.found += whole ? 1 : 0;
  }
  return pass;
}

std::vector<std::int64_t> all_layers(std::size_t count) {
  std::vector<std::int64_t> layers(count);
  std::iota(layers.begin(), layers.end(), 0);
  return layers;
}

}  // namespace

double usual_attention_error(KvType type) {
  constexpr double kInt8 = 0.02;
  constexpr double kFp8 = 0.06;
  constexpr double kInt4 = 0.2;
  if (type == KvType::kInt4) return kInt4;
  return type == KvType::kFp8 ? kFp8 : kInt8;
}

std::vector<SampleTokens> packed(std::span<const SampleTokens> prompts, std::int64_t length,
                                 std::size_t count) {
  const auto most = static_cast<std::size_t>(length);
  std::vector<SampleTokens> all;
  SampleTokens window;
  for (const SampleTokens& prompt : prompts) {
    if (all.size() == count) return all;
    window.tokens.insert(window.tokens.end(), prompt.tokens.begin(), prompt.tokens.end());
    if (window.tokens.size() < most) continue;
    window.tokens.resize(most);
    all.push_back(std::move(window));
    window = {};
  }
  if (all.empty() && window.tokens.size() > 1) all.push_back(std::move(window));
  return all;
}

KvCheck check_kv(const formats::ModelFile& file, std::span<const SampleTokens> prompts,
                 std::span<const SampleTokens> retrievals, const KvCheckOptions& options) {
  kernels::ThreadPool pool(options.threads > 0 ? options.threads : kernels::usable_processors());
  KvCheck check{.type = options.type,
                .limit = options.max_attention_error,
                .retrievals = static_cast<std::int64_t>(retrievals.size())};
  for (const SampleTokens& prompt : prompts) check.tokens += static_cast<std::int64_t>(prompt.tokens.size());
  CacheProbe probe(file.config(), options.type, options.context, pool.threads());
  {
    SequenceRunner exact(file, options.context, {.probe = &probe}, pool);
    const Pass pass = run(exact, prompts, retrievals, options);
    check.perplexity_f16 = check.perplexity = pass.meter.perplexity();
    check.found_f16 = check.found = pass.found;
  }
  check.errors = probe.medians();
  for (std::size_t layer = 0; layer < check.errors.size(); ++layer) {
    if (!(check.errors[layer] <= check.limit)) check.f16_layers.push_back(static_cast<std::int64_t>(layer));
  }
  if (check.f16_layers.size() == check.errors.size()) return check;
  SequenceRunner quantized(file, options.context, {.type = options.type, .f16_layers = check.f16_layers},
                           pool);
  const Pass pass = run(quantized, prompts, retrievals, options);
  check.perplexity = pass.meter.perplexity();
  check.found = pass.found;
  if (!(check.perplexity <= (1 + kMostPerplexityRise) * check.perplexity_f16)) {
    check.refusal = "perplexity rises by more than 0.5 %";
  } else if (check.found < check.found_f16) {
    check.refusal = "retrieval gets worse";
  }
  if (!check.refusal.empty()) check.f16_layers = all_layers(check.errors.size());
  return check;
}

nlohmann::json to_json(const KvCheck& check) {
  const auto number = [](double value) {
    return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
  };
  nlohmann::json layers = nlohmann::json::array();
  for (std::size_t i = 0; i < check.errors.size(); ++i) {
    const bool kept =
        std::ranges::find(check.f16_layers, static_cast<std::int64_t>(i)) != check.f16_layers.end();
    layers.push_back({{"layer", i},
                      {"error", number(check.errors[i])},
                      {"type", kv_type_name(kept ? KvType::kF16 : check.type)}});
  }
  return {{"type", kv_type_name(check.type)},
          {"limit", check.limit},
          {"layers", layers},
          {"f16Layers", check.f16_layers},
          {"refusal", check.refusal},
          {"tokens", check.tokens},
          {"perplexity", {{"f16", number(check.perplexity_f16)}, {"quantized", number(check.perplexity)}}},
          {"retrieval", {{"n", check.retrievals}, {"f16", check.found_f16}, {"quantized", check.found}}}};
}

}  // namespace stepdown::eval
