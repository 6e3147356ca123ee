#include "engine/schema/anchors.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
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
    walk(schema, false);
    std::erase_if(found_, [](const auto& entry) { return entry.second == kTwice; });
    return std::move(found_);
  }

 private:
  static constexpr std::string_view kTwice = "?";  // no pointer

  void walk(const ordered_json& schema, bool names) {
    if (schema.is_array()) {
      for (std::size_t i = 0; i < schema.size(); ++i) walk_into(schema[i], std::to_string(i), false);
    }
    if (!schema.is_object()) return;
    if (!names && !way_.empty() && schema.contains("$id")) return;
    for (const auto& [key, value] : schema.items()) {
      if (!names && key == "$anchor" && value.is_string()) add(value.get<std::string>());
      if (value.is_structured() && (names || !holds_values(key)))
        walk_into(value, key, !names && holds_named_schemas(key));
    }
  }

  void walk_into(const ordered_json& schema, const std::string& key, bool names) {
    way_.push_back(key);
    walk(schema, names);
    way_.pop_back();
  }

  void add(const std::string& name) {
    constexpr std::size_t kMostBytes = 1 << 20;
    std::string pointer;
    for (const std::string& key : way_) {
      pointer += '/' + escape_pointer(key);
      if (bytes_ + pointer.size() > kMostBytes)
        throw InputError("the names around anchors are too long together", "#", "refer by \"#/$defs/NAME\"");
    }
    bytes_ += pointer.size() + name.size();
    const auto [known, fresh] = found_.emplace(name, std::move(pointer));
    if (!fresh) known->second = kTwice;
  }

  std::vector<std::string> way_;  ///< from the root to where it looks
  std::size_t bytes_ = 0;
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
