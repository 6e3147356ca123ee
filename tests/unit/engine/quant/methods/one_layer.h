#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/half.h"
#include "engine/formats/quantized/layout.h"
#include "engine/formats/quantized/module_reader.h"
#include "engine/kernels/dequantize.h"
#include "engine/quant/methods/weight_method.h"

/// One linear layer by one method, for tests that compute beside it, in doubles, what the method should give.
namespace stepdown::quant {

/// Numbers near a normal distribution, the same everywhere: the standard library's is not.
inline Matrix random_matrix(std::int64_t rows, std::int64_t columns, unsigned seed) {
  std::mt19937 random(seed);
  Matrix matrix(rows, columns);
  for (float& x : matrix.values) {
    for (int k = 0; k < 6; ++k) x += static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
  }
  return matrix;
}

/// Tokens whose columns vary together, as activations do: some directions that all share, and noise.
inline Matrix correlated_tokens(std::int64_t tokens, std::int64_t columns, unsigned seed) {
  constexpr std::int64_t kShared = 6;
  const Matrix directions = random_matrix(kShared, columns, seed);
  const Matrix strengths = random_matrix(tokens, kShared, seed + 1);
  Matrix inputs = random_matrix(tokens, columns, seed + 2);
  for (std::int64_t token = 0; token < tokens; ++token) {
    for (std::int64_t i = 0; i < columns; ++i) {
      float& x = inputs.row(token)[i];
      x *= 0.5f;
      for (std::int64_t k = 0; k < kShared; ++k) x += 0.5f * strengths.row(token)[k] * directions.row(k)[i];
    }
  }
  return inputs;
}

inline const WeightMethod& method_named(std::string_view name) {
  return *std::ranges::find(weight_methods(), name, &WeightMethod::name);
}

inline double as_half(double x) {
  return static_cast<double>(f16_to_f32(f32_to_f16(static_cast<float>(x))));
}

/// Σ‖(got − weight)·x‖² over the tokens; of some rows alone where they are given.
inline double output_error(const Matrix& weight, const Matrix& got, const Matrix& tokens) {
  double sum = 0;
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    for (std::int64_t token = 0; token < tokens.rows; ++token) {
      double difference = 0;
      for (std::int64_t i = 0; i < weight.columns; ++i) {
        difference += (static_cast<double>(got.row(row)[i]) - static_cast<double>(weight.row(row)[i])) *
                      static_cast<double>(tokens.row(token)[i]);
      }
      sum += difference * difference;
    }
  }
  return sum;
}

/// What the layer is calibrated on.
inline StageInputs inputs_of(const Matrix& tokens) {
  kernels::ThreadPool pool(1);
  Observer observer(true);
  observer.add(pool, tokens, {});
  return observer.result();
}

/// The weight as loaders read what the method wrote.
inline Matrix quantized(std::string_view name, const Matrix& weight, const StageInputs& inputs,
                        const WeightSettings& asked, std::string_view gguf = "ffn_up") {
  const WeightMethod& method = method_named(name);
  const WeightSettings settings = method.settle(asked);
  kernels::ThreadPool pool(2);
  Linear linear{"mlp.up_proj", gguf, {Stage::kFeedForwardInput}, weight, {}};
  const std::array<Linear*, 1> linears = {&linear};
  const auto written = method.quantize(pool, linears, &inputs, settings);
  formats::ModuleTensors tensors;
  for (const formats::NamedTensor& tensor : written.front()) tensors.emplace(tensor.name, tensor.view());
  const std::string config = method.config(settings, {}).dump();
  const auto read = formats::quantized_layout(formats::JsonView::parse(config, "quantization_config"));
  Matrix got(weight.rows, weight.columns);
  const auto dense = read(formats::ModuleReader(tensors, "module"), weight.rows, weight.columns, DType::kF32);
  kernels::dequantize_row(dense.type, dense.bytes, got.values);
  return got;
}

}  // namespace stepdown::quant
