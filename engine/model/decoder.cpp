#include "engine/model/decoder.h"

#include <array>
#include <string>

#include "engine/base/error.h"
#include "engine/model/llama.h"

namespace stepdown::model {
namespace {

struct Architecture {
  std::string_view name;  ///< GGUF's general.architecture
  std::unique_ptr<Decoder> (*make)(const formats::ModelFile&, const DecoderOptions&, kernels::ThreadPool&);
};

// One row per decoder architecture.
constexpr std::array kArchitectures = {
    Architecture{"llama", make_llama},
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const formats::ModelFile& file, const DecoderOptions& options,
                                      kernels::ThreadPool& pool) {
  std::string known;
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.name == file.config().architecture) return architecture.make(file, options, pool);
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  throw InputError("unknown architecture \"" + file.config().architecture + "\"", "model header",
                   "this engine runs: " + known);
}

}  // namespace stepdown::model
