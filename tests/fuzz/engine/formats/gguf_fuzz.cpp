#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/error.h"
#include "engine/formats/gguf_header.h"
#include "engine/formats/gguf_model.h"
#include "engine/formats/header_facts.h"
#include "engine/formats/inspection.h"
#include "engine/formats/model_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown;
  try {
    const auto header = formats::parse_gguf(std::as_bytes(std::span(data, size)), "fuzz.gguf");
    std::uint64_t sum = 0;
    for (const TensorView& tensor : header.tensors) {
      for (const std::byte byte : tensor.data) sum += std::to_integer<std::uint64_t>(byte);  // reads it all
    }
    const auto config = formats::config_from_gguf(header.metadata, header.tensors, "fuzz.gguf");
    const auto kv = memory::kv_cost(formats::header_facts(header.metadata).attention);
    memory::estimate({static_cast<std::int64_t>(sum), kv.value_or(memory::KvCost{}),
                      memory::activation_bytes(formats::memory_shape(config), 4)},
                     {config.context_length, 4});
    const auto tokenizer = formats::tokenizer_from_gguf(header.metadata, "fuzz.gguf");
    formats::tokenizer_digest(tokenizer);
    formats::check_model(config, tokenizer, header.tensors, {"fuzz.gguf", true});
  } catch (const InputError&) {
    return 0;
  }
  return 0;
}
