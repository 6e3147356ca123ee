#include <cstddef>
#include <cstdint>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/tokenizer/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto variables = nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": " s "}, {"role": "user", "content": "u"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})");
  try {
    const stepdown::tokenizer::ChatTemplate parsed({reinterpret_cast<const char*>(data), size});
    (void)parsed.render(variables);
  } catch (const stepdown::InputError&) {
    // refused with its place: what a bad template should get
  }
  return 0;
}
