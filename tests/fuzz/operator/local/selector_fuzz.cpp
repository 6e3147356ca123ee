#include <cstddef>
#include <cstdint>
#include <string_view>

#include "operator/local/api/api_error.h"
#include "operator/local/api/json_path.h"
#include "operator/local/api/selector.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace stepdown::local::api;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const Json kObject = {{"metadata", {{"name", "x"}, {"labels", {{"a", "b"}, {"n", "3"}}}}},
                               {"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
  const auto attempt = [](auto parse) {
    try {
      parse();
    } catch (const ApiError&) {
    }
  };
  attempt([&] { (void)LabelSelector(text).matches(kObject); });
  attempt([&] { (void)FieldSelector(text).matches(kObject); });
  attempt([&] { (void)JsonPath(text).find(kObject); });
  return 0;
}
