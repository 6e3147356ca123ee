#pragma once

#include "engine/kernels/cuda/device.h"
#include "engine/model/architecture.h"
#include "engine/model/decoder.h"

namespace stepdown::model {

/// The decoder that transformer.h makes, on a GPU. `pool` only repacks the weights.
/// Throws InputError for what no CUDA kernel does yet, or does not fit the device's free memory.
std::unique_ptr<Decoder> make_device_transformer(const Architecture& architecture,
                                                 const formats::ModelFile& file,
                                                 const DecoderOptions& options, kernels::ThreadPool& pool,
                                                 std::unique_ptr<kernels::cuda::Device> device);

}  // namespace stepdown::model
