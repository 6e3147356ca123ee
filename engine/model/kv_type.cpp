#include "engine/model/kv_type.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "engine/base/error.h"

namespace stepdown::model {
namespace {

constexpr std::array<std::pair<std::string_view, KvType>, 4> kNames = {
    {{"f16", KvType::kF16}, {"int8", KvType::kInt8}, {"fp8", KvType::kFp8}, {"int4", KvType::kInt4}}};

}  // namespace

std::string_view kv_type_name(KvType type) {
  return std::ranges::find(kNames, type, &decltype(kNames)::value_type::second)->first;
}

std::optional<KvType> kv_type_of(std::string_view name) {
  const auto* found = std::ranges::find(kNames, name, &decltype(kNames)::value_type::first);
  return found == kNames.end() ? std::nullopt : std::optional(found->second);
}

std::vector<KvType> kv_types(KvType type, std::int64_t layers, std::span<const std::int64_t> f16_layers) {
  std::vector<KvType> types(static_cast<std::size_t>(layers), type);
  for (const std::int64_t layer : f16_layers) {
    if (layer < 0 || layer >= layers) {
      throw InputError("there is no layer " + std::to_string(layer), "KV layers at F16",
                       "the model has layers 0 to " + std::to_string(layers - 1));
    }
    types[static_cast<std::size_t>(layer)] = KvType::kF16;
  }
  return types;
}

}  // namespace stepdown::model
