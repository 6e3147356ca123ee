#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "engine/formats/model_file.h"
#include "engine/quant/gguf_quantizer.h"

namespace stepdown::quant {

/// What a method is asked for; it refuses what it cannot honour.
struct MethodRequest {
  std::string preset;       ///< GGUF mixes
  int bits = 0;             ///< 0: not given
  int group_size = 0;       ///< 0: not given
  std::string calibration;  ///< file or folder; empty: none
  std::string imatrix;      ///< an importance matrix of llama.cpp's; empty: none
};

struct MethodResult {
  WrittenGguf written;
  std::string preset;
  int bits = 0;
};

/// A way of quantization: writes `file_name` into a folder.
struct Method {
  std::string_view name;
  std::string_view file_name;
  /// Throws InputError for a request or a model it cannot honour, before anything is written.
  MethodResult (*run)(const formats::ModelFile& model, const MethodRequest& request,
                      const std::filesystem::path& folder, int threads);
};

std::span<const Method> methods();
/// Throws InputError naming all methods.
const Method& find_method(std::string_view name);

}  // namespace stepdown::quant
