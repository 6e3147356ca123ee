#include "engine/model/decoder.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace stepdown::model
