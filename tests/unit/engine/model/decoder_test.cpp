#include "engine/model/decoder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <deque>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/half.h"

namespace stepdown::model {
namespace {

std::unique_ptr<formats::ModelFile> open_golden(const std::string& name) {
  return formats::open_model(std::string(STEPDOWN_SOURCE_DIR) + "/tests/goldens/runtime/" + name);
}

/// A model whose tensors lie in memory of its own, which reads as zeros once it is given back.
class OwnedModel final : public formats::ModelFile {
 public:
  explicit OwnedModel(std::unique_ptr<formats::ModelFile> file) : file_(std::move(file)) {
    for (const TensorView& tensor : file_->tensors()) {
      file_->prepare(tensor);
      memory_.emplace_back(tensor.data.begin(), tensor.data.end());
      tensors_.push_back(tensor);
      tensors_.back().data = memory_.back();
    }
  }
  const formats::ModelConfig& config() const override { return file_->config(); }
  const formats::TokenizerData& tokenizer() const override { return file_->tokenizer(); }
  std::span<const TensorView> tensors() const override { return tensors_; }
  std::string_view format() const override { return file_->format(); }
  formats::GgufMetadata gguf_metadata() const override { return file_->gguf_metadata(); }
  void release(const TensorView& /*tensor*/) const override {}
  void discard(const TensorView& tensor) const override {
    const auto at = std::ranges::find(tensors_, tensor.name, &TensorView::name) - tensors_.begin();
    std::ranges::fill(memory_[static_cast<std::size_t>(at)], std::byte{0});
  }

 private:
  std::unique_ptr<formats::ModelFile> file_;
  mutable std::deque<std::vector<std::byte>> memory_;
  std::vector<TensorView> tensors_;
};

/// Logits behind each of the first tokens of a fixed text.
std::vector<float> logits_of(const formats::ModelFile& file, bool last_use_of_file) {
  constexpr std::int64_t kTokens = 12;
  kernels::ThreadPool pool(1);
  const auto decoder = make_decoder(
      file, {.context = 64, .max_rows = kTokens, .kv_pages = 1, .last_use_of_file = last_use_of_file}, pool);
  std::vector<std::int32_t> tokens(kTokens);
  std::iota(tokens.begin(), tokens.end(), 7);
  const std::vector<std::int32_t> pages = {0};
  const SequenceSlice slice{tokens, 0, pages};
  decoder->forward({&slice, 1});
  std::vector<std::int64_t> rows(kTokens);
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<float> out(static_cast<std::size_t>(kTokens * file.config().vocab));
  decoder->logits(rows, out.data());
  return out;
}

TEST(Decoder, AFileThatIsReadAgainKeepsItsOwnMemory) {
  const OwnedModel file(open_golden("untied_mha"));
  const std::vector<float> first = logits_of(file, false);
  EXPECT_EQ(logits_of(file, true), first);
  EXPECT_NE(logits_of(file, false), first) << "the last use gave its memory back";
}

/// The same model with its layers' matrices as Q8_0: what the integer kernels run.
class CodedModel final : public formats::ModelFile {
 public:
  explicit CodedModel(std::unique_ptr<formats::ModelFile> file) : file_(std::move(file)) {
    for (TensorView tensor : file_->tensors()) {
      if (tensor.type == DType::kF16 && tensor.name.starts_with("blk.") && tensor.columns() % 32 == 0) {
        file_->prepare(tensor);
        memory_.push_back(encode(tensor));
        tensor.type = DType::kQ8_0;
        tensor.data = memory_.back();
      }
      tensors_.push_back(std::move(tensor));
    }
  }
  const formats::ModelConfig& config() const override { return file_->config(); }
  const formats::TokenizerData& tokenizer() const override { return file_->tokenizer(); }
  std::span<const TensorView> tensors() const override { return tensors_; }
  std::string_view format() const override { return file_->format(); }
  formats::GgufMetadata gguf_metadata() const override { return file_->gguf_metadata(); }
  void prepare(const TensorView& tensor) const override { file_->prepare(tensor); }
  void release(const TensorView& /*tensor*/) const override {}

 private:
  static std::vector<std::byte> encode(const TensorView& tensor) {
    std::vector<std::byte> bytes;
    const auto put = [&](const auto& value) {
      const auto* at = reinterpret_cast<const std::byte*>(&value);
      bytes.insert(bytes.end(), at, at + sizeof value);
    };
    for (std::size_t block = 0; block < tensor.data.size(); block += 64) {
      std::array<float, 32> values;
      for (std::size_t i = 0; i < 32; ++i) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, tensor.data.data() + block + i * 2, 2);
        values[i] = f16_to_f32(bits);
      }
      float largest = 0;
      for (const float value : values) largest = std::max(largest, std::abs(value));
      put(f32_to_f16(largest / 127));
      for (const float value : values)
        put(static_cast<std::int8_t>(largest > 0 ? std::nearbyint(value / largest * 127) : 0));
    }
    return bytes;
  }

  std::unique_ptr<formats::ModelFile> file_;
  std::deque<std::vector<std::byte>> memory_;
  std::vector<TensorView> tensors_;
};

using Tokens = std::vector<std::int32_t>;
using Logits = std::vector<float>;

/// How much of each sequence a step takes, and who computes it.
struct Schedule {
  std::int64_t chunk;
  bool together;
  int threads;
  bool silences = false;  ///< some tokens of each slice, at times all
};

/// Logits behind every token of each sequence; zeros behind silent ones. Pages are dealt in turns, so that
/// they differ from alone.
std::vector<Logits> run(const formats::ModelFile& file, KvType kv_type, std::span<const Tokens> sequences,
                        const Schedule& schedule) {
  constexpr std::int64_t kContext = 128;
  constexpr auto kPages = kContext / KvCache::kPageTokens;
  const auto count = static_cast<std::int64_t>(sequences.size());
  kernels::ThreadPool pool(schedule.threads);
  const auto decoder = make_decoder(file,
                                    {.context = kContext,
                                     .max_rows = count * schedule.chunk,
                                     .kv_pages = count * kPages,
                                     .kv_type = kv_type},
                                    pool);
  const auto vocab = static_cast<std::size_t>(file.config().vocab);
  std::vector<Logits> logits(sequences.size());
  std::vector<std::vector<std::int32_t>> pages(sequences.size());
  for (std::int64_t page = 0; page < count * kPages; ++page)
    pages[static_cast<std::size_t>(page % count)].push_back(
        static_cast<std::int32_t>(count * kPages - 1 - page));
  const auto step = [&](std::span<const std::size_t> who, std::size_t at) {
    std::vector<SequenceSlice> slices;
    std::vector<std::size_t> owners;  // of the rows that are asked for
    std::vector<std::int64_t> rows;
    std::size_t seen = 0;
    for (const std::size_t i : who) {
      const std::span<const std::int32_t> tokens(sequences[i]);
      if (at >= tokens.size()) continue;
      const std::size_t some = std::min(static_cast<std::size_t>(schedule.chunk), tokens.size() - at);
      const std::size_t silent = schedule.silences ? (at + 3 * i) % (some + 1) : 0;
      slices.push_back({tokens.subspan(at, some), static_cast<std::int64_t>(at), pages[i],
                        static_cast<std::int64_t>(silent)});
      logits[i].resize(logits[i].size() + silent * vocab);
      const std::size_t before = std::exchange(seen, seen + some);
      for (std::size_t token = silent; token < some; ++token) {
        owners.push_back(i);
        rows.push_back(static_cast<std::int64_t>(before + token));
      }
    }
    if (slices.empty()) return;
    decoder->forward(slices);
    Logits out(rows.size() * vocab);
    decoder->logits(rows, out.data());
    for (std::size_t row = 0; row < owners.size(); ++row) {
      const auto from = out.begin() + static_cast<std::ptrdiff_t>(row * vocab);
      logits[owners[row]].insert(logits[owners[row]].end(), from, from + static_cast<std::ptrdiff_t>(vocab));
    }
  };
  std::vector<std::size_t> all(sequences.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  for (std::size_t at = 0; at < kContext; at += static_cast<std::size_t>(schedule.chunk)) {
    if (schedule.together) {
      step(all, at);
    } else {
      for (const std::size_t i : all) step({&i, 1}, at);
    }
  }
  return logits;
}

class SameBits : public testing::TestWithParam<const char*> {};

TEST_P(SameBits, AloneBatchedChunkedAndByManyThreads) {
  const auto plain = open_golden(GetParam());
  const CodedModel coded(open_golden(GetParam()));
  std::vector<Tokens> sequences;
  for (const std::size_t length : {90, 37, 61, 90, 5}) {
    Tokens tokens(length);
    for (std::size_t i = 0; i < length; ++i)
      tokens[i] = static_cast<std::int32_t>((i * i + 31 * i + 7 * length * sequences.size()) %
                                            static_cast<std::size_t>(plain->config().vocab));
    sequences.push_back(std::move(tokens));
  }
  for (const formats::ModelFile* file : {static_cast<const formats::ModelFile*>(plain.get()),
                                         static_cast<const formats::ModelFile*>(&coded)}) {
    for (const KvType type : {KvType::kF16, KvType::kInt8, KvType::kFp8, KvType::kInt4}) {
      const auto alone = run(*file, type, sequences, {1, false, 1});
      for (const Schedule& schedule :
           {Schedule{1, true, 1}, Schedule{1, true, 3}, Schedule{7, false, 2}, Schedule{7, true, 1},
            Schedule{64, false, 1}, Schedule{100, true, 2}}) {
        EXPECT_EQ(run(*file, type, sequences, schedule), alone)
            << kv_type_name(type) << ", chunks of " << schedule.chunk
            << (schedule.together ? ", batched" : "") << ", threads " << schedule.threads
            << (file == &coded ? ", Q8_0" : "");
      }
    }
  }
}

TEST_P(SameBits, SilentTokensChangeNoOthers) {
  const CodedModel file(open_golden(GetParam()));
  const auto vocab = static_cast<std::size_t>(file.config().vocab);
  std::vector<Tokens> sequences;
  for (const std::size_t length : {90, 37, 61}) {
    sequences.emplace_back(length);
    std::iota(sequences.back().begin(), sequences.back().end(), static_cast<std::int32_t>(length));
    for (std::int32_t& token : sequences.back()) token %= static_cast<std::int32_t>(vocab);
  }
  const auto alone = run(file, KvType::kF16, sequences, {1, false, 1});
  for (const Schedule& schedule :
       {Schedule{7, true, 2, true}, Schedule{7, false, 1, true}, Schedule{64, true, 1, true}}) {
    const auto partly = run(file, KvType::kF16, sequences, schedule);
    std::size_t asked = 0;
    std::size_t silent = 0;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      ASSERT_EQ(partly[i].size(), alone[i].size());
      for (std::size_t token = 0; token < sequences[i].size(); ++token) {
        const auto of = [&](const Logits& logits) {
          return std::vector(logits.begin() + static_cast<std::ptrdiff_t>(token * vocab),
                             logits.begin() + static_cast<std::ptrdiff_t>((token + 1) * vocab));
        };
        const bool zeros = std::ranges::all_of(of(partly[i]), [](float value) { return value == 0.0f; });
        zeros ? ++silent : ++asked;
        if (zeros) continue;
        EXPECT_EQ(of(partly[i]), of(alone[i])) << "sequence " << i << ", token " << token;
      }
    }
    EXPECT_GT(silent, 10U);
    EXPECT_GT(asked, 10U);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, SameBits,
                         testing::Values("tied_gqa", "gemma2", "mistral", "mixtral", "phi3"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace stepdown::model
