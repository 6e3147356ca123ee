#include "engine/formats/gguf_file.h"

#include "engine/base/mapped_file.h"
#include "engine/formats/gguf_header.h"
#include "engine/formats/gguf_model.h"
#include "engine/formats/release_pages.h"

namespace stepdown::formats {
namespace {

class GgufFile final : public ModelFile {
 public:
  explicit GgufFile(const std::filesystem::path& path)
      : file_(path),
        header_(parse_gguf(file_.bytes(), path.string())),
        config_(config_from_gguf(header_.metadata, header_.tensors, path.string())),
        tokenizer_(tokenizer_from_gguf(header_.metadata, path.string())) {}

  const ModelConfig& config() const override { return config_; }
  const TokenizerData& tokenizer() const override { return tokenizer_; }
  std::span<const TensorView> tensors() const override { return header_.tensors; }
  std::string_view format() const override { return "gguf"; }
  GgufMetadata gguf_metadata() const override { return header_.metadata; }
  void release(const TensorView& tensor) const override { release_pages(tensor.data); }

 private:
  MappedFile file_;
  GgufHeader header_;
  ModelConfig config_;
  TokenizerData tokenizer_;
};

}  // namespace

std::unique_ptr<ModelFile> open_gguf(const std::filesystem::path& path) {
  return std::make_unique<GgufFile>(path);
}

}  // namespace stepdown::formats
