// The OpenAPI v2 document as github.com/google/gnostic's protobuf, which kubectl up to 1.26 asks for alone.
// Field numbers are those of its OpenAPIv2.proto; what kubectl does not read (parameters of paths but their
// names, numeric limits) is left out.
#include "operator/local/api/openapi.h"
#include "operator/local/api/protobuf.h"

namespace stepdown::local::api {
namespace {

std::string any(const Json& value) {
  return ProtobufWriter()
      .text(2, value.dump(-1, ' ', false, Json::error_handler_t::replace))
      .bytes();  // JSON is YAML
}

/// The members whose names begin with "x-", as NamedAny entries of field `field`.
void add_extensions(ProtobufWriter& out, int field, const Json& node) {
  for (const auto& [key, value] : node.items()) {
    if (key.starts_with("x-")) out.text(field, ProtobufWriter().text(1, key).text(2, any(value)).bytes());
  }
}

void add_text(ProtobufWriter& out, int field, const Json& node, const char* key) {
  const auto it = node.find(key);
  if (it != node.end() && it->is_string()) out.text(field, it->get_ref<const std::string&>());
}

std::string schema(const Json& node) {
  ProtobufWriter out;
  if (!node.is_object()) return {};
  add_text(out, 1, node, "$ref");
  add_text(out, 2, node, "format");
  add_text(out, 4, node, "description");
  for (const Json& name : node.value("required", Json::array())) out.text(19, name.get<std::string>());
  if (const auto it = node.find("additionalProperties"); it != node.end() && it->is_object()) {
    out.text(21, ProtobufWriter().text(1, schema(*it)).bytes());
  }
  if (node.value("type", Json()).is_string())
    out.text(22, ProtobufWriter().text(1, node["type"].get<std::string>()).bytes());
  if (const auto it = node.find("items"); it != node.end())
    out.text(23, ProtobufWriter().text(1, schema(*it)).bytes());
  if (const auto it = node.find("properties"); it != node.end() && it->is_object()) {
    ProtobufWriter properties;
    for (const auto& [name, member] : it->items())
      properties.text(1, ProtobufWriter().text(1, name).text(2, schema(member)).bytes());
    out.text(25, properties.bytes());
  }
  add_extensions(out, 31, node);
  return out.bytes();
}

std::string operation(const Json& node) {
  ProtobufWriter out;
  for (const Json& parameter : node.value("parameters", Json::array())) {
    const std::string query = ProtobufWriter()
                                  .text(2, "query")
                                  .text(4, parameter.value("name", ""))
                                  .text(6, "string")
                                  .number(20, 1)
                                  .bytes();
    const std::string non_body = ProtobufWriter().text(3, query).bytes();
    out.text(8, ProtobufWriter().text(1, ProtobufWriter().text(2, non_body).bytes()).bytes());
  }
  out.text(9, ProtobufWriter().bytes());
  add_extensions(out, 13, node);
  return out.bytes();
}

std::string path_item(const Json& node) {
  constexpr std::pair<const char*, int> kMethods[] = {
      {"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
  ProtobufWriter out;
  for (const auto& [method, field] : kMethods) {
    if (node.contains(method)) out.text(field, operation(node[method]));
  }
  return out.bytes();
}

}  // namespace

std::string openapi_v2_protobuf(const Json& document) {
  ProtobufWriter paths;
  for (const auto& [path, item] : document.at("paths").items())
    paths.text(2, ProtobufWriter().text(1, path).text(2, path_item(item)).bytes());
  ProtobufWriter definitions;
  for (const auto& [name, member] : document.at("definitions").items()) {
    definitions.text(1, ProtobufWriter().text(1, name).text(2, schema(member)).bytes());
  }
  const Json& info = document.at("info");
  return ProtobufWriter()
      .text(1, "2.0")
      .text(2, ProtobufWriter().text(1, info.value("title", "")).text(2, info.value("version", "")).bytes())
      .text(8, paths.bytes())
      .text(9, definitions.bytes())
      .bytes();
}

}  // namespace stepdown::local::api
