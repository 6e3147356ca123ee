#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/error.h"
#include "engine/formats/hf_tokenizer.h"
#include "engine/formats/inspection.h"
#include "engine/formats/model_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto tokenizer =
        formats::parse_tokenizer_json(formats::JsonView::parse(text, "tokenizer.json"), 16);
    if (tokenizer.tokens.size() != 16 || tokenizer.types.size() != 16) __builtin_trap();
    formats::tokenizer_digest(tokenizer);
    formats::check_tokenizer(tokenizer, 16, {"fuzz", false});
  } catch (const InputError&) {
    return 0;
  }
  return 0;
}
