#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/server/request_framer.h"

// However bytes are cut, the same request comes out; and it is one that comes out again as it is.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using stepdown::server::RequestFramer;
  const auto frame = [](std::string_view bytes, std::size_t step) {
    RequestFramer framer({.line = 200, .head = 1000, .fields = 10, .body = 1000});
    while (!bytes.empty() && !framer.whole() && !framer.error())
      bytes.remove_prefix(framer.feed(bytes.substr(0, std::min(step, bytes.size()))));
    return framer;
  };
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  RequestFramer whole = frame(bytes, size);
  RequestFramer cut = frame(bytes, 1);
  if (whole.whole() != cut.whole() || whole.error().has_value() != cut.error().has_value()) __builtin_trap();
  if (!whole.whole()) return 0;
  const std::string request = whole.take();
  if (request != cut.take()) __builtin_trap();
  RequestFramer again = frame(request, request.size());
  // The length that is put in may be the line too many.
  if (again.error() ? again.error()->status != 431 : again.take() != request) __builtin_trap();
  return 0;
}
