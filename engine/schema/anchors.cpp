#include "engine/schema/anchors.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <nlohmann/json.hpp>

#include "engine/schema/json_pointer.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

template <std::size_t kCount>
bool is_one_of(const std::string& keyword, const std::array<std::string_view, kCount>& all) {
  return std::ranges::find(all, keyword) != all.end();
}

class Anchors {
 public:
  std::map<std::string, std::string> run(const ordered_json& schema) {
    walk(schema, "", false);
    std::erase_if(found_, [](const auto& entry) { return entry.second == kTwice; });
    return std::move(found_);
  }

 private:
  static constexpr std::string_view kTwice = "?";  // no pointer

  void walk(const ordered_json& schema, const std::string& at, bool names) {
    if (schema.is_array()) {
      for (std::size_t i = 0; i < schema.size(); ++i) walk(schema[i], at + "/" + std::to_string(i), false);
    }
    if (!schema.is_object()) return;
    if (!names && !at.empty() && schema.contains("$id")) return;
    for (const auto& [key, value] : schema.items()) {
      if (!names && key == "$anchor" && value.is_string()) {
        const auto [known, fresh] = found_.emplace(value.get<std::string>(), at);
        if (!fresh) known->second = kTwice;
      }
      if (names || !holds_values(key))
        walk(value, at + "/" + escape_pointer(key), !names && holds_named_schemas(key));
    }
  }

  std::map<std::string, std::string> found_;
};

}  // namespace

std::map<std::string, std::string> anchors_of(const ordered_json& schema) {
  return Anchors().run(schema);
}

bool holds_values(const std::string& keyword) {
  return is_one_of(keyword, std::to_array<std::string_view>({"const", "enum", "default", "examples"}));
}

bool holds_named_schemas(const std::string& keyword) {
  return is_one_of(keyword, std::to_array<std::string_view>({"properties", "patternProperties",
                                                             "dependentSchemas", "$defs", "definitions"}));
}

}  // namespace stepdown::schema
