#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/formats/json_view.h"
#include "engine/formats/quantized/dense_form.h"
#include "engine/formats/quantized/module_reader.h"

namespace stepdown::formats {

/// Reads the weight [rows, columns] of one quantized module. `plain`: the checkpoint's own element type, to
/// which values are rounded that no block type holds exactly.
using ReadWeight = std::function<DenseForm(const ModuleReader& module, std::int64_t rows,
                                           std::int64_t columns, DType plain)>;

/// The reader that a config.json's quantization_config asks for. Throws InputError naming what is supported.
ReadWeight quantized_layout(const JsonView& quantization_config);

/// Whether there is one, by quant_method.
bool reads_layout(std::string_view quant_method);

}  // namespace stepdown::formats
