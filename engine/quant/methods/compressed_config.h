#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stepdown::quant {

/// quantization_config of compressed-tensors: one scheme for all linear layers but those kept.
/// `weights`: the fields of the weights' arguments; `activations`: of the inputs', or null.
inline nlohmann::json compressed_config(const std::string& format, nlohmann::json weights,
                                        nlohmann::json activations, const std::vector<std::string>& kept) {
  weights["dynamic"] = false;
  return {{"quant_method", "compressed-tensors"},
          {"format", format},
          {"quantization_status", "compressed"},
          {"config_groups",
           {{"group_0",
             {{"targets", {"Linear"}},
              {"weights", std::move(weights)},
              {"input_activations", std::move(activations)},
              {"output_activations", nullptr}}}}},
          {"ignore", kept},
          {"kv_cache_scheme", nullptr}};
}

}  // namespace stepdown::quant
