#include "engine/model/decoder.h"

#include <array>
#include <string>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/log.h"
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
#include "engine/model/device_transformer.h"
#include "engine/model/transformer.h"

namespace stepdown::model {
namespace {

// One row per decoder architecture.
constexpr std::array kArchitectures = {kLlama,  kQwen2, kQwen3,   kQwen3moe, kGemma2,
                                       kGemma3, kPhi3,  kGranite, kOlmo2,    kSmollm3};

std::unique_ptr<Decoder> make(const Architecture& architecture, const formats::ModelFile& file,
                              const DecoderOptions& options, kernels::ThreadPool& pool) {
  namespace cuda = kernels::cuda;
  using Kind = cuda::DeviceRequest::Kind;
  if (options.device.kind == Kind::kCpu) return make_transformer(architecture, file, options, pool);
  const cuda::Machine machine = cuda::look_around();
  const cuda::Choice choice = cuda::choose(options.device, machine);
  std::string reason = choice.reason;
  if (choice.ordinal) {
    try {
      auto decoder =
          make_device_transformer(architecture, file, options, pool,
                                  std::make_unique<cuda::Device>(machine.library, *choice.ordinal));
      log::info("computing on the GPU",
                {{"device", "cuda:" + std::to_string(*choice.ordinal)}, {"chosen", reason}});
      return decoder;
    } catch (
        const Error& error) {  // a model that it cannot run, or memory that another process took meanwhile
      if (options.device.kind == Kind::kCuda) throw;
      reason = error.what();
    }
  }
  log::info("computing on the CPU", {{"because", reason}});
  return make_transformer(architecture, file, options, pool);
}

}  // namespace

std::unique_ptr<Decoder> make_decoder(const formats::ModelFile& file, const DecoderOptions& options,
                                      kernels::ThreadPool& pool) {
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.name == file.config().architecture) return make(architecture, file, options, pool);
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  throw InputError("unknown architecture \"" + file.config().architecture + "\"", "model header",
                   "this engine runs: " + known);
}

}  // namespace stepdown::model
