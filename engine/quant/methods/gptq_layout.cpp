#include "engine/quant/methods/gptq_layout.h"

#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace stepdown::quant {

WeightSettings settle_gptq_layout(WeightSettings asked) {
  if (asked.bits == 0) asked.bits = 4;
  if (asked.bits != 2 && asked.bits != 3 && asked.bits != 4 && asked.bits != 8) {
    throw InputError(std::to_string(asked.bits) + " bits are not supported", "--bits",
                     "GPTQ's layout has 2, 3, 4 and 8");
  }
  if (!asked.granularity.empty()) {
    throw InputError("GPTQ's layout has groups", "--granularity",
                     "give --group-size, −1 for one scale a channel");
  }
  if (!(asked.damping >= 0 && asked.damping <= 1)) {  // NaN is none of these
    throw InputError("is no share", "--damping", "give 0 to 1");
  }
  if (asked.group_size == 0) asked.group_size = 128;
  if (!asked.gptq_version)
    asked.gptq_version = asked.symmetric ? formats::GptqVersion::kV1 : formats::GptqVersion::kV2;
  if (!asked.symmetric && asked.gptq_version == formats::GptqVersion::kV1) {
    throw InputError("version 1 stores a zero less one, so it has no zero of 0, which asymmetric codes need",
                     "--checkpoint-format gptq", "give gptq_v2, or leave --asymmetric out");
  }
  return asked;
}

nlohmann::json gptq_layout_config(const WeightSettings& settings, bool scattered,
                                  const std::vector<std::string>& kept) {
  const bool version2 = settings.gptq_version == formats::GptqVersion::kV2;
  nlohmann::json config = {{"quant_method", "gptq"},
                           {"bits", settings.bits},
                           {"group_size", settings.group_size},
                           {"desc_act", scattered},
                           {"sym", settings.symmetric},
                           {"lm_head", false},
                           {"checkpoint_format", version2 ? "gptq_v2" : "gptq"}};
  for (std::string name : kept) {  // as GPTQModel and vLLM read it: "-:" and a pattern of names to leave out
    if (name == "lm_head") continue;
    for (std::size_t at = 0; (at = name.find('.', at)) != std::string::npos; at += 2)
      name.insert(at, 1, '\\');
    config["dynamic"]["-:" + name + "$"] = nlohmann::json::object();
  }
  return config;
}

}  // namespace stepdown::quant
