// Logits of a whole model in every weight format, beside those of FP32 arithmetic on the very same weights.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <numeric>
#include <string>
#include <vector>

#include "tests/unit/engine/kernels/stored_matrix.h"
#include <gtest/gtest.h>

#include "engine/model/decoder.h"

namespace stepdown::model {
namespace {

constexpr std::int64_t kHidden = 256;
constexpr std::int64_t kFeedForward = 512;
constexpr std::int64_t kVocab = 320;
constexpr std::int64_t kTokens = 24;

/// A Llama of two layers in memory, whose matrices the test adds.
class MadeModel final : public formats::ModelFile {
 public:
  MadeModel() {
    config_.architecture = "llama";
    config_.vocab = kVocab;
    config_.layers = 2;
    config_.hidden = kHidden;
    config_.feed_forward = kFeedForward;
    config_.heads = 4;
    config_.kv_heads = 2;
    config_.head_dim = 64;
    config_.rope_dim = 64;
    config_.context_length = 64;
    const std::vector<float> ones(kHidden, 1.0f);
    for (const char* name : {"output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight",
                             "blk.1.attn_norm.weight", "blk.1.ffn_norm.weight"})
      add_floats(name, {kHidden}, ones);
  }
  void add(kernels::Stored stored, const std::string& name) {
    memory_.push_back(std::move(stored.bytes));
    tensors_.push_back({name, stored.view.type, stored.view.shape, memory_.back()});
  }
  void add_floats(const std::string& name, std::vector<std::int64_t> shape, std::span<const float> values) {
    const auto bytes = std::as_bytes(values);
    memory_.emplace_back(bytes.begin(), bytes.end());
    tensors_.push_back({name, DType::kF32, std::move(shape), memory_.back()});
  }
  const formats::ModelConfig& config() const override { return config_; }
  const formats::TokenizerData& tokenizer() const override { return tokenizer_; }
  std::span<const TensorView> tensors() const override { return tensors_; }
  std::string_view format() const override { return "made"; }
  formats::GgufMetadata gguf_metadata() const override { return {}; }
  void release(const TensorView& /*tensor*/) const override {}

 private:
  formats::ModelConfig config_;
  formats::TokenizerData tokenizer_;
  std::deque<std::vector<std::byte>> memory_;
  std::vector<TensorView> tensors_;
};

/// Random weights of a type, as large as trained ones are beside their number of columns.
kernels::Stored random_weights(DType type, std::int64_t rows, std::int64_t columns, unsigned seed) {
  kernels::Stored stored = kernels::random_matrix(type, rows, columns, seed);
  double squares = 0;
  for (const float value : stored.values())
    squares += static_cast<double>(value) * static_cast<double>(value);
  const auto factor = static_cast<float>(std::sqrt(static_cast<double>(rows) / squares));
  const std::size_t block = dtype_info(type).block_bytes;
  const auto scale_half = [&](std::size_t at) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, stored.bytes.data() + at, sizeof bits);
    stored.put_half(at, f16_to_f32(bits) * factor);
  };
  for (std::size_t at = 0; at < stored.bytes.size(); at += block) {
    if (type == DType::kF16) scale_half(at);
    for (const std::size_t offset : kernels::half_offsets(type)) scale_half(at + offset);
  }
  return stored;
}

struct Pair {
  MadeModel coded;
  MadeModel reference;  ///< the same values as FP32
};

std::unique_ptr<Pair> random_model(DType type) {
  auto pair = std::make_unique<Pair>();
  unsigned seed = 1;
  const auto add = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
    kernels::Stored stored = random_weights(type, rows, columns, seed++);
    const std::vector<float> values = stored.values();
    pair->reference.add_floats(name, {rows, columns}, values);
    stored.view.data = stored.bytes;
    pair->coded.add(std::move(stored), name);
  };
  add("token_embd.weight", kVocab, kHidden);
  add("output.weight", kVocab, kHidden);
  for (const char* layer : {"blk.0.", "blk.1."}) {
    const std::string prefix = layer;
    add(prefix + "attn_q.weight", 256, kHidden);
    add(prefix + "attn_k.weight", 128, kHidden);
    add(prefix + "attn_v.weight", 128, kHidden);
    add(prefix + "attn_output.weight", kHidden, 256);
    add(prefix + "ffn_gate.weight", kFeedForward, kHidden);
    add(prefix + "ffn_up.weight", kFeedForward, kHidden);
    add(prefix + "ffn_down.weight", kHidden, kFeedForward);
  }
  return pair;
}

std::vector<float> logits_of(const formats::ModelFile& file) {
  kernels::ThreadPool pool(1);
  const auto decoder = make_decoder(file, {.context = 64, .max_rows = kTokens, .kv_pages = 1}, pool);
  std::vector<std::int32_t> tokens(kTokens);
  for (std::size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<std::int32_t>((i * 97 + 5) % kVocab);
  const std::vector<std::int32_t> pages = {0};
  const SequenceSlice slice{tokens, 0, pages};
  decoder->forward({&slice, 1});
  std::vector<std::int64_t> rows(kTokens);
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<float> out(static_cast<std::size_t>(kTokens * kVocab));
  decoder->logits(rows, out.data());
  return out;
}

class EveryFormat : public testing::TestWithParam<DType> {};

// Codes are multiplied exactly. What is rounded are the inputs of quantized weights, to a 254th of the
// largest of 32 columns: half a percent of a random row, in nine products one behind the other 1.5 %; twice
// that is allowed. Inputs of BF16 weights are BF16 where instructions want them so. Keys and values are
// binary16 in both.
TEST_P(EveryFormat, LogitsAreThoseOfFp32WithinTheInputsRounding) {
  const auto pair = random_model(GetParam());
  const std::vector<float> logits = logits_of(pair->coded);
  const std::vector<float> reference = logits_of(pair->reference);
  ASSERT_EQ(logits.size(), reference.size());
  double worst = 0;
  double largest = 0;
  double squares = 0;
  double error_squares = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double error = static_cast<double>(logits[i]) - static_cast<double>(reference[i]);
    const double value = static_cast<double>(reference[i]);
    ASSERT_TRUE(std::isfinite(error)) << i;
    worst = std::max(worst, std::abs(error));
    largest = std::max(largest, std::abs(value));
    squares += value * value;
    error_squares += error * error;
  }
  ASSERT_GT(largest, 1.0) << "nothing came out";
  const double relative = std::sqrt(error_squares / squares);
  std::printf("%s: largest error %.2e of the largest logit, root mean square %.2e\n",
              std::string(dtype_info(GetParam()).name).c_str(), worst / largest, relative);
  const bool rounds = dtype_info(GetParam()).quantized || GetParam() == DType::kBF16;
  EXPECT_LT(relative, rounds ? 0.03 : 2e-5);
  EXPECT_LT(worst / largest, rounds ? 0.04 : 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Types, EveryFormat,
                         testing::Values(DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1,
                                         DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,
                                         DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL,
                                         DType::kIQ4_XS, DType::kTQ1_0, DType::kTQ2_0, DType::kMXFP4),
                         [](const auto& info) { return std::string(dtype_info(info.param).name); });

}  // namespace
}  // namespace stepdown::model
