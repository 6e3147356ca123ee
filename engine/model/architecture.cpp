#include "engine/model/architecture.h"

#include <algorithm>
#include <array>
#include <string>

#include "engine/base/error.h"
#include "engine/model/architectures/gemma2.h"
#include "engine/model/architectures/gemma3.h"
#include "engine/model/architectures/granite.h"
#include "engine/model/architectures/llama.h"
#include "engine/model/architectures/olmo2.h"
#include "engine/model/architectures/phi3.h"
#include "engine/model/architectures/qwen2.h"
#include "engine/model/architectures/qwen3.h"
#include "engine/model/architectures/qwen3moe.h"
#include "engine/model/architectures/smollm3.h"

namespace stepdown::model {
namespace {

// One row per decoder architecture.
constexpr std::array kArchitectures = {kLlama,  kQwen2, kQwen3,   kQwen3moe, kGemma2,
                                       kGemma3, kPhi3,  kGranite, kOlmo2,    kSmollm3};

}  // namespace

const Architecture& find_architecture(const formats::ModelConfig& config) {
  const auto* row = std::ranges::find(kArchitectures, config.architecture, &Architecture::name);
  if (row != kArchitectures.end()) return *row;
  std::string known;
  for (const Architecture& each : kArchitectures)
    known += (known.empty() ? "" : ", ") + std::string(each.name);
  throw InputError("unknown architecture \"" + config.architecture + "\"", "model header",
                   "this engine runs: " + known);
}

}  // namespace stepdown::model
