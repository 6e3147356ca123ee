#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/api/kinds.h"
#include "operator/api/yaml.h"

namespace {

using namespace stepdown;

/// What is read must be printed so that it is read as the same again.
template <class Kind>
void round_trip(const nlohmann::json& object, Kind (*parse)(const nlohmann::json&, api::UnknownFields)) {
  for (const auto unknown : {api::UnknownFields::kRefuse, api::UnknownFields::kIgnore}) {
    try {
      const nlohmann::json printed = api::print(parse(object, unknown).spec);
      nlohmann::json again = object;
      again["spec"] = printed;
      if (api::print(parse(again, api::UnknownFields::kRefuse).spec) != printed) std::abort();
    } catch (const InputError&) {  // refusals are fine, anything else is not
    }
  }
}

}  // namespace

// YAML as people write it, taken for each kind.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string text(reinterpret_cast<const char*>(data), size);
    for (const nlohmann::json& object : api::documents_from_yaml(text, "fuzz.yaml")) {
      round_trip(object, api::parse_quantized_model);
      round_trip(object, api::parse_quant_revision);
      round_trip(object, api::parse_engine_profile);
    }
  } catch (const InputError&) {
  }
  return 0;
}
