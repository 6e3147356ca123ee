#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/base/mapped_file.h"
#include "engine/base/tensor.h"
#include "engine/formats/lazy_tensors.h"

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
  /// Whether the tensor took the place of a stored one.
  bool is_replaced(const TensorView& tensor) const { return lazy_.holds(tensor.data); }
  /// Makes the bytes of a tensor that replaced a stored one readable, until release().
  void prepare(const TensorView& tensor) const { lazy_.prepare(tensor.data); }
  /// Gives back pages that can come again: of the mapped files by themselves, of what replaced their tensors
  /// by prepare().
  void release(const TensorView& tensor) const;
  /// Puts a tensor of the same shape in the place of a stored one; `fill` makes its bytes.
  void replace(const std::string& name, DType type, LazyTensors::Fill fill);

 private:
  std::filesystem::path folder_;
  std::vector<MappedFile> files_;
  LazyTensors lazy_;
  Tensors tensors_;
};

/// Which files hold the weights: "model.safetensors", or what the index names.
std::vector<std::string> weight_files(const std::filesystem::path& folder);

}  // namespace stepdown::formats
