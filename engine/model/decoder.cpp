#include "engine/model/decoder.h"

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
#include "engine/model/transformer.h"

namespace stepdown::model {
namespace {

// One row per decoder architecture.
constexpr std::array kArchitectures = {kLlama,  kQwen2, kQwen3,   kQwen3moe, kGemma2,
                                       kGemma3, kPhi3,  kGranite, kOlmo2,    kSmollm3};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const formats::ModelFile& file, const DecoderOptions& options,
                                      kernels::ThreadPool& pool) {
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.name == file.config().architecture)
      return make_transformer(architecture, file, options, pool);
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  throw InputError("unknown architecture \"" + file.config().architecture + "\"", "model header",
                   "this engine runs: " + known);
}

}  // namespace stepdown::model
