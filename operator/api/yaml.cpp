#include "operator/api/yaml.h"

#include <charconv>
#include <cmath>
#include <regex>

#include <nlohmann/json.hpp>
#include <yaml-cpp/yaml.h>

#include "engine/base/error.h"

namespace stepdown::api {
namespace {

/// Deeper nesting, and more nodes through aliases, than any manifest holds.
constexpr int kDeepest = 64;
constexpr std::size_t kMostNodes = 200'000;

class Converter {
 public:
  explicit Converter(std::string_view origin) : origin_(origin) {}

  nlohmann::json convert(const YAML::Node& node, int depth = 0) {
    if (depth > kDeepest) fail("nested too deeply", node, "flatten it");
    if (++nodes_ > kMostNodes) fail("too many nodes", node, "split the file");
    switch (node.Type()) {
      case YAML::NodeType::Sequence: {
        auto out = nlohmann::json::array();
        for (const auto& each : node) out.push_back(convert(each, depth + 1));
        return out;
      }
      case YAML::NodeType::Map: {
        auto out = nlohmann::json::object();
        for (const auto& entry : node) {
          const YAML::Node& key = entry.first;
          if (!key.IsScalar()) fail("a key must be a string", key, "quote it");
          if (out.contains(key.Scalar())) fail("key " + key.Scalar() + " is repeated", key, "keep one");
          out[key.Scalar()] = convert(entry.second, depth + 1);
        }
        return out;
      }
      case YAML::NodeType::Scalar:
        return scalar(node);
      default:
        return nullptr;
    }
  }

 private:
  [[noreturn]] void fail(const std::string& what, const YAML::Node& node, const std::string& mend) const {
    throw InputError(what, origin_ + ":" + std::to_string(node.Mark().line + 1), mend);
  }

  static nlohmann::json scalar(const YAML::Node& node) {
    const std::string& text = node.Scalar();
    if (node.Tag() == "!") return text;  // quoted
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
    if (text == "true" || text == "True" || text == "TRUE") return true;
    if (text == "false" || text == "False" || text == "FALSE") return false;
    static const std::regex kInteger("[-+]?[0-9]+");
    static const std::regex kFloat(R"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)");
    if (text.size() > 64 || !std::regex_match(text, kFloat)) return text;
    const char* const begin = text.data() + (text[0] == '+' ? 1 : 0);
    const char* const end = text.data() + text.size();
    if (std::regex_match(text, kInteger)) {
      std::int64_t integer = 0;
      if (std::from_chars(begin, end, integer).ec == std::errc{}) return integer;
    }
    double number = 0;
    if (std::from_chars(begin, end, number).ec == std::errc{} && std::isfinite(number)) return number;
    return text;
  }

  std::string origin_;
  std::size_t nodes_ = 0;
};

}  // namespace

std::vector<nlohmann::json> documents_from_yaml(const std::string& text, std::string_view origin) {
  try {
    std::vector<nlohmann::json> documents;
    for (const YAML::Node& node : YAML::LoadAll(text)) {
      if (node.IsDefined() && !node.IsNull()) documents.push_back(Converter(origin).convert(node));
    }
    return documents;
  } catch (const YAML::Exception& error) {
    throw InputError(error.msg, std::string(origin) + ":" + std::to_string(error.mark.line + 1),
                     "mend the YAML there");
  }
}

}  // namespace stepdown::api
