#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/schema/schema.h"

/// A schema, a NUL byte, then bytes that steer a walk: whatever the matcher calls complete must be valid.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using stepdown::schema::PrefixMatcher;
  using stepdown::schema::Schema;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = input.find('\0');
  const auto source = nlohmann::ordered_json::parse(input.substr(0, split), nullptr, false);
  if (source.is_discarded()) return 0;
  try {
    const auto schema = Schema::compile(source);
    PrefixMatcher matcher(schema);
    std::string text;
    for (const char c : split == std::string_view::npos ? std::string_view() : input.substr(split + 1)) {
      if (!matcher.accept(static_cast<unsigned char>(c))) continue;
      text += c;
      if (matcher.complete() && !schema->validate_text(text).empty()) std::abort();
    }
  } catch (const stepdown::InputError&) {
    // refused with its path: what a bad schema should get
  }
  return 0;
}
