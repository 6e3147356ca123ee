#pragma once

#include "engine/model/architecture.h"
#include "engine/model/decoder.h"

namespace stepdown::model {

/// A decoder of norms, attention and gated feed-forward blocks, as the architecture arranges them.
std::unique_ptr<Decoder> make_transformer(const Architecture& architecture, const formats::ModelFile& file,
                                          const DecoderOptions& options, kernels::ThreadPool& pool);

}  // namespace stepdown::model
