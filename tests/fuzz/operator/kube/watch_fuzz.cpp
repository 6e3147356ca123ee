#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "operator/kube/object.h"
#include "operator/kube/request.h"
#include "operator/kube/watch.h"

// The first byte is the size of the pieces in which the rest arrives.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown::kube;
  if (size == 0) return 0;
  const std::size_t piece = data[0] + std::size_t{1};
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  WatchDecoder decoder;
  const auto look = [](WatchEvent&& event) {
    (void)key_of(event.object);
    (void)controller_uid_of(event.object);
    (void)request::parse_status(event.object);
    return true;
  };
  while (!bytes.empty()) {
    const std::size_t count = bytes.size() < piece ? bytes.size() : piece;
    if (!decoder.feed(bytes.substr(0, count), look)) {
      if (decoder.error().empty()) std::abort();  // only a reason may end it
      return 0;
    }
    bytes.remove_prefix(count);
  }
  return 0;
}
