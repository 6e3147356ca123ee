#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/error.h"
#include "engine/fetch/remote.h"
#include "engine/fetch/tar.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown::fetch;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  TarReader reader(
      [&](char* to, std::size_t wanted) {
        const std::size_t got = std::min(wanted, rest.size());
        rest.copy(to, got);
        rest.remove_prefix(got);
        return got;
      },
      "fuzz");
  try {
    std::size_t content = 0;
    while (const auto entry = reader.next()) {
      const auto place = place_in_result(entry->path, entry->size % 2 == 0 ? "" : "models/", "fuzz");
      if (place && !is_safe_path(*place)) __builtin_trap();
      reader.read_content([&](std::string_view piece) { content += piece.size(); });
    }
    if (content > size) __builtin_trap();
  } catch (const stepdown::InputError&) {
    return 0;
  }
  return 0;
}
