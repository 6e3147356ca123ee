#include "operator/compat/suites.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace stepdown::compat {

std::vector<std::string> suite_types(const api::EvaluationSpec& evaluation) {
  std::vector<std::string> out;
  for (const api::RawJson& suite : evaluation.suites) {
    const auto parsed = nlohmann::json::parse(suite.text, nullptr, /*allow_exceptions=*/false);
    const auto type = parsed.is_object() ? parsed.find("type") : parsed.end();
    const bool named = parsed.is_object() && type != parsed.end() && type->is_string();
    out.push_back(named ? type->get<std::string>() : "");
  }
  return out;
}

bool has_suite(const api::EvaluationSpec& evaluation, std::string_view type) {
  const std::vector<std::string> types = suite_types(evaluation);
  return std::ranges::find(types, type) != types.end();
}

}  // namespace stepdown::compat
