#pragma once

#include "engine/model/decoder.h"

namespace stepdown::model {

/// Llama (Touvron et al. 2023): RMSNorm, rotary positions, grouped-query attention, SwiGLU; tied or untied
/// head.
std::unique_ptr<Decoder> make_llama(const formats::ModelFile& file, const DecoderOptions& options,
                                    kernels::ThreadPool& pool);

}  // namespace stepdown::model
