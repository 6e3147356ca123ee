#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/base/mapped_file.h"
#include "engine/base/tensor.h"

namespace stepdown::formats {

/// The tensors of a Hugging Face folder under their own names: model.safetensors, or the shards that
/// model.safetensors.index.json lists. Views stay valid as long as this object.
class HfCheckpoint {
 public:
  struct Stored {
    TensorView view;
    std::string file;
  };
  using Tensors = std::map<std::string, Stored, std::less<>>;

  /// Throws InputError for files that are missing, damaged or not as their index says.
  explicit HfCheckpoint(const std::filesystem::path& folder);

  const Tensors& tensors() const { return tensors_; }
  /// The named tensor, or nullptr.
  const TensorView* find(std::string_view name) const;
  const std::filesystem::path& folder() const { return folder_; }
  /// Whether the bytes lie in a mapped file, whose pages come back by themselves.
  bool is_mapped(const TensorView& tensor) const;
  /// Puts a tensor that owns its bytes in the place of a stored one of its name.
  void replace(const std::string& name, DType type, std::vector<std::byte> bytes);

 private:
  std::filesystem::path folder_;
  std::vector<MappedFile> files_;
  std::vector<std::vector<std::byte>> owned_;  ///< inner buffers do not move when the outer vector grows
  Tensors tensors_;
};

/// Which files hold the weights: "model.safetensors", or what the index names.
std::vector<std::string> weight_files(const std::filesystem::path& folder);

}  // namespace stepdown::formats
