#include "operator/gateway/judge/expectation.h"

#include <exception>

#include <nlohmann/json.hpp>

#include "operator/gateway/judge/member.h"

namespace stepdown::gateway {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t kMostSchemas = 64;

std::shared_ptr<const schema::Schema> compile(const json& format) {
  const json& type = member(format, "type");
  try {
    if (type == "json_object") return schema::Schema::any_object();
    if (type == "json_schema") return schema::Schema::compile(format.at("json_schema").at("schema"));
  } catch (const std::exception&) {
    return nullptr;  // the engine answers such a request with a 400 that names the keyword
  }
  return nullptr;
}

}  // namespace

std::shared_ptr<const schema::Schema> SchemaCache::of(const json& response_format) {
  if (!response_format.is_object()) return nullptr;
  const std::string key = response_format.dump(-1, ' ', false, json::error_handler_t::replace);
  const auto found = compiled_.find(key);
  if (found != compiled_.end()) return found->second;
  if (compiled_.size() >= kMostSchemas) compiled_.clear();
  return compiled_.emplace(key, compile(response_format)).first->second;
}

Expectation expect(const json& request, bool chat, SchemaCache& schemas) {
  Expectation expectation;
  expectation.chat = chat;
  expectation.stream = member(request, "stream") == true;
  const json& temperature = member(request, "temperature");
  expectation.greedy = temperature.is_number() && temperature.get<double>() == 0;
  const json& choices = member(request, "n");
  if (choices.is_number_unsigned()) expectation.choices = choices.get<std::uint64_t>();
  expectation.schema = schemas.of(member(request, "response_format"));
  return expectation;
}

}  // namespace stepdown::gateway
