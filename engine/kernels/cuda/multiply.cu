#include <utility>

#include "engine/kernels/cuda/multiply_format.h"
#include "engine/kernels/cuda/multiply_many.h"
#include "engine/kernels/cuda/operations.h"

namespace stepdown::kernels::cuda {
namespace {

using Multiply = Failure (*)(Stream, const MatrixProduct&);

template <std::size_t... kFormat>
Multiply multiply_of(std::size_t format, std::index_sequence<kFormat...> /*formats*/) {
  constexpr Multiply kRows[] = {multiply_format<static_cast<int>(kFormat)>...};
  return kRows[format];
}

__global__ void __launch_bounds__(256) add(ManyProduct many) {
  const MatrixProduct& product = many.product;
  const std::int64_t count = std::int64_t{product.tokens} * product.weights.rows;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count;
       i += std::int64_t{gridDim.x} * blockDim.x) {
    float value = 0.0f;
    for (int part = 0; part < many.parts; ++part) value += product.partials[part * count + i];
    float* const out = product.out + i / product.weights.rows * product.out_stride + i % product.weights.rows;
    *out = product.accumulate ? *out + value : value;
  }
}

}  // namespace

Failure add_parts(Stream stream, const ManyProduct& many, int multiprocessors) {
  return launch(add, dim3{static_cast<unsigned>(2 * multiprocessors), 1, 1}, 256, 0, stream, many);
}

Failure multiply(Stream stream, const MatrixProduct& arguments) {
  const auto format = static_cast<std::size_t>(arguments.weights.format);
  if (format >= kWeightFormats.size()) return "no kernel multiplies this weight format";
  return multiply_of(format, std::make_index_sequence<kWeightFormats.size()>())(stream, arguments);
}

}  // namespace stepdown::kernels::cuda
