#include "engine/model/decoder.h"

#include <string>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/log.h"
#include "engine/model/device_transformer.h"
#include "engine/model/transformer.h"

namespace stepdown::model {
namespace {

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
  return make(find_architecture(file.config()), file, options, pool);
}

}  // namespace stepdown::model
