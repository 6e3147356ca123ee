#include "operator/compat/suites.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace stepdown::compat {
namespace {

using nlohmann::json;

/// null where it is none.
json parsed(const api::RawJson& suite) {
  json out = json::parse(suite.text, nullptr, /*allow_exceptions=*/false);
  return out.is_object() ? out : json();
}

std::string type_of(const json& suite) {
  return suite.contains("type") && suite["type"].is_string() ? suite["type"].get<std::string>() : "";
}

}  // namespace

std::vector<std::string> suite_types(const api::EvaluationSpec& evaluation) {
  std::vector<std::string> out;
  for (const api::RawJson& suite : evaluation.suites) out.push_back(type_of(parsed(suite)));
  return out;
}

std::vector<std::int64_t> retrieval_keys(const api::EvaluationSpec& evaluation) {
  std::vector<std::int64_t> out;
  for (const api::RawJson& each : evaluation.suites) {
    const json suite = parsed(each);
    if (type_of(suite) != "retrieval") continue;
    const bool stated = suite.contains("keys") && suite["keys"].is_number_integer();
    out.push_back(stated ? suite["keys"].get<std::int64_t>() : 1);
  }
  return out;
}

bool has_suite(const api::EvaluationSpec& evaluation, std::string_view type) {
  const std::vector<std::string> types = suite_types(evaluation);
  return std::ranges::find(types, type) != types.end();
}

}  // namespace stepdown::compat
