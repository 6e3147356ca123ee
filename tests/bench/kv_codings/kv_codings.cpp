// How keys and values might be coded, by what each layer's attention loses: kv_codings MODEL PROMPTS.jsonl
//
// The check of engine/eval/kv_check.h, over codings that the KV cache has and that it has not, all in one
// pass over up to 4096 tokens of prompts. What a coding makes of keys and values is put in a binary16 cache
// as numbers.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <memory>
#include <vector>

#include "engine/base/half.h"
#include "engine/eval/dataset.h"
#include "engine/eval/kv_check.h"
#include "engine/eval/sequence_runner.h"
#include "engine/eval/statistics.h"
#include "engine/formats/quantized/float8.h"
#include "engine/model/attention.h"
#include "engine/model/rotation.h"

namespace stepdown::eval {
namespace {

using model::KvCache;

float to_int8(float scaled) {
  return std::clamp(std::nearbyint(scaled), -127.0f, 127.0f);
}
float to_e4m3(float scaled) {
  return formats::e4m3_to_f32(formats::f32_to_e4m3(scaled));
}
float to_int4(float scaled) {
  return std::clamp(std::nearbyint(scaled), -8.0f, 7.0f);
}

struct Codes {
  float top;  ///< of the number of largest magnitude; negative: whatever its sign
  float (*nearest)(float scaled);
};
constexpr Codes kInt8 = {127.0f, to_int8};
constexpr Codes kFp8 = {formats::kLargestE4m3, to_e4m3};
constexpr Codes kInt4 = {-8.0f, to_int4};

struct Coding {
  const char* name;
  Codes codes;
  bool rotated_keys = false;
  bool rotated_values = false;
  bool channels = false;  ///< keys have a scale a channel and page of 64 tokens; else one a token
};

constexpr Coding kCodings[] = {
    {"int4, a scale a token", kInt4},
    {"int4, keys rotated, values not", kInt4, true, false},
    {"int4, rotated", kInt4, true, true},
    {"int4, rotated, but keys with a scale a channel", kInt4, true, true, true},
    {"int8, a scale a token", kInt8},
    {"int8, but keys with a scale a channel", kInt8, false, false, true},
    {"int8, rotated", kInt8, true, true},
    {"int8, rotated values, but keys with a scale a channel, not rotated", kInt8, false, true, true},
    {"int8, rotated, but keys with a scale a channel", kInt8, true, true, true},
    {"fp8, a scale a token", kFp8},
    {"fp8, rotated", kFp8, true, true},
};

/// Numbers `stride` apart that share a scale become what their codes say.
void code(const Codes& codes, float* at, std::int64_t count, std::int64_t stride) {
  float extreme = 0.0f;
  for (std::int64_t i = 0; i < count; ++i)
    if (std::abs(at[i * stride]) > std::abs(extreme)) extreme = at[i * stride];
  if (extreme == 0.0f) return;
  const float scale = (codes.top < 0.0f ? extreme : std::abs(extreme)) / codes.top;
  const float kept = f16_to_f32(f32_to_f16(scale));
  for (std::int64_t i = 0; i < count; ++i) at[i * stride] = codes.nearest(at[i * stride] / scale) * kept;
}

/// One coding's cache, and its layers' errors.
class Candidate {
 public:
  Candidate(const Coding& coding, const formats::ModelConfig& config, std::int64_t context, int threads)
      : coding_(coding),
        shape_{config.layers, config.kv_heads, config.head_dim},
        width_(config.heads * config.head_dim),
        cache_(shape_, model::kv_types(model::KvType::kF16, config.layers, {}),
               (context + KvCache::kPageTokens - 1) / KvCache::kPageTokens),
        attention_(cache_, config.heads, context, threads),
        errors_(static_cast<std::size_t>(config.layers)) {}

  void attend(kernels::ThreadPool& pool, const kernels::Operations& operations,
              const model::AttentionStep& step) {
    const std::int64_t width = shape_.kv_heads * shape_.head_dim;
    keys_.assign(step.keys, step.keys + step.rows * width);
    values_.assign(step.values, step.values + step.rows * width);
    put_through(keys_, step.rows, coding_.rotated_keys, coding_.channels);
    put_through(values_, step.rows, coding_.rotated_values, false);
    const model::SequenceSlice& slice = step.slices.front();  // a page: SequenceRunner's step
    const std::int32_t page = slice.pages[static_cast<std::size_t>(slice.position / KvCache::kPageTokens)];
    for (std::int64_t row = 0; row < step.rows; ++row)
      cache_.store(step.layer, page, row, keys_.data() + row * width, values_.data() + row * width);
    out_.resize(static_cast<std::size_t>(step.rows * width_));
    attention_.run(pool, operations, step.layer, step.rule, step.slices, step.queries, width_, out_.data(),
                   width_);
    for (std::int64_t row = 0; row < step.rows; ++row) {
      double lost = 0;
      double energy = 0;
      for (std::int64_t i = row * width_; i < (row + 1) * width_; ++i) {
        lost += std::pow(static_cast<double>(out_[static_cast<std::size_t>(i)] - step.out[i]), 2);
        energy += std::pow(static_cast<double>(step.out[i]), 2);
      }
      errors_[static_cast<std::size_t>(step.layer)].push_back(std::sqrt(lost / energy));
    }
  }

  void print() const {
    std::vector<double> medians;
    for (const auto& errors : errors_) medians.push_back(quantile(errors, 0.5));
    std::printf("| %s | %.4f, %.4f |\n", coding_.name, quantile(medians, 0.5),
                *std::ranges::max_element(medians));
  }

 private:
  void put_through(std::vector<float>& heads, std::int64_t rows, bool rotated, bool channels) const {
    const std::int64_t dim = shape_.head_dim;
    const std::int64_t width = shape_.kv_heads * dim;
    const auto rotate_all = [&] {
      for (std::int64_t i = 0; rotated && i < rows * width; i += dim)
        model::rotate_head(heads.data() + i, dim);
    };
    rotate_all();
    if (channels) {
      for (std::int64_t i = 0; i < width; ++i) code(coding_.codes, heads.data() + i, rows, width);
    } else {
      for (std::int64_t i = 0; i < rows * width; i += dim) code(coding_.codes, heads.data() + i, dim, 1);
    }
    rotate_all();
  }

  Coding coding_;
  model::KvShape shape_;
  std::int64_t width_;
  KvCache cache_;
  model::Attention attention_;
  std::vector<float> keys_, values_, out_;
  std::vector<std::vector<double>> errors_;  ///< by layer, of each query
};

class Candidates final : public model::AttentionProbe {
 public:
  Candidates(const formats::ModelConfig& config, std::int64_t context, int threads) {
    for (const Coding& coding : kCodings)
      all_.push_back(std::make_unique<Candidate>(coding, config, context, threads));
  }
  void attended(kernels::ThreadPool& pool, const kernels::Operations& operations,
                const model::AttentionStep& step) override {
    for (const auto& candidate : all_) candidate->attend(pool, operations, step);
  }
  void print() const {
    for (const auto& candidate : all_) candidate->print();
  }

 private:
  std::vector<std::unique_ptr<Candidate>> all_;
};

void measure(const char* path, const char* dataset) {
  const auto file = formats::open_model(path);
  const tokenizer::ChatEncoder encoder(std::make_shared<const tokenizer::Tokenizer>(file->tokenizer()),
                                       file->tokenizer());
  const std::int64_t context = std::min(kCheckedTokens, file->config().context_length);
  std::vector<SampleTokens> prompts;
  for (const Sample& sample : read_dataset(dataset)) prompts.push_back(tokens_of(encoder, sample, context));
  const SampleTokens window = packed(prompts, context, 1).at(0);
  kernels::ThreadPool pool(kernels::usable_processors());
  Candidates candidates(file->config(), context, pool.threads());
  SequenceRunner runner(*file, context, {.probe = &candidates}, pool);
  const std::span<const tokenizer::TokenId> tokens(window.tokens);
  for (std::size_t at = 0; at < tokens.size(); at += SequenceRunner::kStep)
    runner.run(tokens.subspan(at, std::min<std::size_t>(SequenceRunner::kStep, tokens.size() - at)),
               static_cast<std::int64_t>(at));
  std::printf("| coding, over %zu tokens | error of the median layer, of the worst |\n|---|---|\n",
              tokens.size());
  candidates.print();
}

}  // namespace
}  // namespace stepdown::eval

int main(int count, char** arguments) {
  if (count != 3) {
    std::fputs("kv_codings MODEL PROMPTS.jsonl\n", stderr);
    return 2;
  }
  try {
    stepdown::eval::measure(arguments[1], arguments[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
