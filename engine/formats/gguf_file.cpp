#include "engine/formats/gguf_file.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/base/mapped_file.h"
#include "engine/formats/gguf_header.h"
#include "engine/formats/gguf_model.h"
#include "engine/formats/release_pages.h"

namespace stepdown::formats {
namespace {

class GgufFile final : public ModelFile {
 public:
  explicit GgufFile(const std::vector<std::filesystem::path>& shards)
      : header_(read(shards, files_)),
        config_(config_from_gguf(header_.metadata, header_.tensors, shards.front().string())),
        tokenizer_(tokenizer_from_gguf(header_.metadata, shards.front().string())) {}

  const ModelConfig& config() const override { return config_; }
  const TokenizerData& tokenizer() const override { return tokenizer_; }
  std::span<const TensorView> tensors() const override { return header_.tensors; }
  std::string_view format() const override { return "gguf"; }
  GgufMetadata gguf_metadata() const override { return header_.metadata; }
  void release(const TensorView& tensor) const override { release_pages(tensor.data); }

 private:
  /// The first file's metadata count; the others have tensors alone.
  static GgufHeader read(const std::vector<std::filesystem::path>& shards, std::vector<MappedFile>& files) {
    GgufHeader whole;
    for (const std::filesystem::path& path : shards) {
      files.emplace_back(path);
      GgufHeader header = parse_gguf(files.back().bytes(), path.string());
      if (files.size() == 1) whole.metadata = std::move(header.metadata);
      std::ranges::move(header.tensors, std::back_inserter(whole.tensors));
    }
    return whole;
  }

  std::vector<MappedFile> files_;
  GgufHeader header_;
  ModelConfig config_;
  TokenizerData tokenizer_;
};

}  // namespace

std::unique_ptr<ModelFile> open_gguf(const std::vector<std::filesystem::path>& shards) {
  return std::make_unique<GgufFile>(shards);
}

}  // namespace stepdown::formats
