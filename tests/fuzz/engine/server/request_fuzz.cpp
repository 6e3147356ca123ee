#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/server/api_error.h"
#include "engine/server/request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  for (const bool chat : {true, false}) {
    try {
      (void)stepdown::server::parse_request(body, chat, 0);
    } catch (const stepdown::server::ApiError&) {
      // refused with the parameter's name: what a bad request should get
    }
  }
  return 0;
}
