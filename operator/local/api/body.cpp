#include "operator/local/api/body.h"

#include <cmath>
#include <string>

#include <yaml-cpp/yaml.h>

#include "operator/api/yaml.h"
#include "operator/local/api/api_error.h"
#include "operator/local/api/protobuf_body.h"

namespace stepdown::local::api {
namespace {

constexpr int kMaxDepth = 256;
constexpr std::size_t kMaxYamlNodes = 200'000;  // aliases expand; a small text must not become a huge tree

/// YAML 1.1 plain scalars as Kubernetes' YAML library reads them.
Json plain_scalar(const std::string& text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return nullptr;
  if (text == "true" || text == "True" || text == "TRUE" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "False" || text == "FALSE" || text == "no" || text == "off") return false;
  const char first = text.front();
  if ((first >= '0' && first <= '9') || first == '-' || first == '+' || first == '.') {
    char* end = nullptr;
    errno = 0;
    const long long whole = std::strtoll(text.c_str(), &end, 10);
    if (errno == 0 && end == text.c_str() + text.size()) return whole;
    const double real = std::strtod(text.c_str(), &end);
    if (end == text.c_str() + text.size() && std::isfinite(real)) return real;
  }
  return text;
}

Json convert(const YAML::Node& node, int depth, std::size_t& budget) {
  if (depth > kMaxDepth) throw bad_request("error parsing YAML: nested deeper than 256 levels");
  if (budget-- == 0) throw bad_request("error parsing YAML: more than 200000 nodes");
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return node.Tag() == "!" ? Json(node.Scalar()) : plain_scalar(node.Scalar());
    case YAML::NodeType::Sequence: {
      Json list = Json::array();
      for (const auto& item : node) list.push_back(convert(item, depth + 1, budget));
      return list;
    }
    case YAML::NodeType::Map: {
      Json map = Json::object();
      for (const auto& entry : node) {
        if (!entry.first.IsScalar()) throw bad_request("error parsing YAML: a map key is not a string");
        map[entry.first.Scalar()] = convert(entry.second, depth + 1, budget);
      }
      return map;
    }
    default:
      return nullptr;
  }
}

}  // namespace

Json parse_json(std::string_view text) {
  int deepest = 0;
  const auto watch_depth = [&deepest](int depth, Json::parse_event_t, Json&) {
    if (depth > kMaxDepth) throw bad_request("error decoding JSON: nested deeper than 256 levels");
    deepest = std::max(deepest, depth);
    return true;
  };
  try {
    return Json::parse(text, watch_depth);
  } catch (const Json::exception& error) {
    throw bad_request(std::string("error decoding JSON: ") + error.what());
  }
}

Json parse_yaml(std::string_view text) {
  if (!stepdown::api::is_utf8(text)) throw bad_request("error parsing YAML: invalid UTF-8");
  try {
    std::size_t budget = kMaxYamlNodes;
    return convert(YAML::Load(std::string(text)), 0, budget);
  } catch (const YAML::Exception& error) {
    throw bad_request(std::string("error parsing YAML: ") + error.what());
  }
}

Json parse_body(std::string_view text, std::string_view content_type) {
  const std::string_view media = content_type.substr(0, content_type.find(';'));
  if (media.find("yaml") != std::string_view::npos) {
    const std::size_t start = text.find_first_not_of(" \t\r\n");
    const bool json = start != std::string_view::npos && text[start] == '{';
    return json ? parse_json(text) : parse_yaml(text);
  }
  if (media == "application/vnd.kubernetes.protobuf") return parse_protobuf(text);
  if (media.empty() || media.find("json") != std::string_view::npos) return parse_json(text);
  throw unsupported_media_type(
      "the body of the request was in an unknown format - accepted media types include: "
      "application/json, application/yaml");
}

}  // namespace stepdown::local::api
