#pragma once

#include <vector>

#include "engine/formats/hf_checkpoint.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {

/// Merges PEFT LoRA adapters (adapter_config.json, adapter_model.safetensors) into a checkpoint, in F32 and
/// in their order: each adapted weight becomes W + weight · s · B·A with s = alpha/r, or alpha/√r under
/// rsLoRA; per-module ranks and alphas (rank_pattern, alpha_pattern) count, modules_to_save replace the
/// base's. The sum is made when a tensor is asked for, and rounded once where `merged` asks for it. Throws
/// InputError for adapters of another kind, of another model, or that change what the merge cannot express
/// (DoRA, biases). The checkpoint has to stay where it is.
void merge_adapters(HfCheckpoint& checkpoint, const std::vector<Adapter>& adapters, Merged merged);

}  // namespace stepdown::formats
