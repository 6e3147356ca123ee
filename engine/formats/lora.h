#pragma once

#include <filesystem>
#include <string>

#include "engine/formats/hf_checkpoint.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {

/// Merges a PEFT LoRA adapter (adapter_config.json, adapter_model.safetensors) into a checkpoint, in F32:
/// each adapted weight becomes W + weight · s · B·A with s = alpha/r, or alpha/√r under rsLoRA; per-module
/// ranks and alphas (rank_pattern, alpha_pattern) count, modules_to_save replace the base's. Throws
/// InputError for adapters of another kind, of another model, or that change what the merge cannot express
/// (DoRA, biases).
void merge_lora(HfCheckpoint& checkpoint, const std::filesystem::path& adapter, double weight);

/// Merges all of them, in their order, and rounds the sum once where `merged` asks for it.
void merge_adapters(HfCheckpoint& checkpoint, const std::vector<Adapter>& adapters, Merged merged);

}  // namespace stepdown::formats
