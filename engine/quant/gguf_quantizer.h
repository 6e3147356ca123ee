#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/base/dtype.h"
#include "engine/formats/gguf_writer.h"
#include "engine/formats/imatrix_file.h"
#include "engine/formats/model_file.h"

namespace stepdown::quant {

/// What each tensor of a new GGUF file becomes, in file order.
struct TensorPlan {
  const TensorView* source;
  DType type;
};
struct GgufPlan {
  std::vector<TensorPlan> tensors;
  std::uint32_t file_type = 0;  ///< GGUF's general.file_type
};

/// By preset ("Q4_K_M"); with_imatrix: llama.cpp's mixes differ a little where an importance matrix is given.
/// Throws InputError for unknown presets and architectures, and for weights that are quantized already.
GgufPlan plan_preset(const formats::ModelFile& model, std::string_view preset, bool with_imatrix);
/// The tensor's importance, or nothing when the matrix has none: the embeddings' input is no activation.
/// Throws InputError for one of another model.
std::span<const float> importance_of(const formats::Imatrix& imatrix, const TensorView& tensor);
/// What counts for one row of a tensor whose importance is given: of experts each has its own.
std::span<const float> importance_of_row(std::span<const float> importance, const TensorView& tensor,
                                         std::size_t row);
/// All matrices as F16, all vectors as F32.
GgufPlan plan_f16(const formats::ModelFile& model);

/// Throws DiskFull where there is no room for its tensors in `file`, beside what is there of them.
void require_space_for(const GgufPlan& plan, const std::filesystem::path& file);

struct WrittenGguf {
  std::string digest;  ///< SHA-256 of the file, 64 hex digits
  std::uint64_t size = 0;
  std::map<std::string, int> tensors;  ///< how many by type
};

/// Streams the model into `path`, some MiB at a time, encoded on `threads` threads (0: all cores); the bytes
/// do not depend on their number. Throws InputError for weights that are not finite or beyond binary16's
/// range, and for an importance matrix of another model. `existing`: what becomes of a file that is there.
WrittenGguf write_gguf(const formats::ModelFile& model, const GgufPlan& plan,
                       const std::filesystem::path& path, int threads, const std::string& label,
                       const formats::Imatrix& imatrix = {},
                       formats::Existing existing = formats::Existing::kReplaced);

}  // namespace stepdown::quant
