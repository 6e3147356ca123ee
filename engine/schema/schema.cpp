#include "engine/schema/schema.h"

#include <nlohmann/json.hpp>

#include "engine/schema/compiler.h"
#include "engine/schema/validator.h"

namespace stepdown::schema {

Schema::Schema(std::shared_ptr<const Grammar> grammar, std::string text)
    : grammar_(std::move(grammar)), text_(std::move(text)) {}

std::shared_ptr<const Schema> Schema::compile(const nlohmann::ordered_json& schema) {
  auto grammar = compile_grammar(schema);
  auto text = schema.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return std::shared_ptr<const Schema>(
      new Schema(std::move(grammar), std::move(text)));  // NOLINT: private constructor
}

std::shared_ptr<const Schema> Schema::any_object() {
  return std::shared_ptr<const Schema>(
      new Schema(object_grammar(), "json_object"));  // NOLINT: private constructor
}

std::vector<Violation> Schema::validate(const nlohmann::json& document) const {
  return schema::validate(*grammar_, document);
}

std::vector<Violation> Schema::validate_text(std::string_view text) const {
  const auto document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded()) return {{"", "is no JSON"}};
  return validate(document);
}

}  // namespace stepdown::schema
