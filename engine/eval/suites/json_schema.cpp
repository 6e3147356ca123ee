#include "engine/base/error.h"
#include "engine/eval/suite.h"
#include "engine/schema/schema.h"

namespace stepdown::eval {
namespace {

/// Properties in the order of `required`, others behind them. An API server sorts an object's keys, but keeps
/// the order of arrays: this is how the order in which answers are written survives a QuantizedModel.
nlohmann::ordered_json in_required_order(const nlohmann::json& schema) {
  if (schema.is_array()) {
    auto items = nlohmann::ordered_json::array();
    for (const auto& item : schema) items.push_back(in_required_order(item));
    return items;
  }
  if (!schema.is_object()) return schema;
  auto ordered = nlohmann::ordered_json::object();
  for (const auto& [key, value] : schema.items()) {
    const auto required = schema.find("required");
    if (key != "properties" || !value.is_object() || required == schema.end() || !required->is_array()) {
      ordered[key] = in_required_order(value);
      continue;
    }
    auto properties = nlohmann::ordered_json::object();
    for (const auto& name : *required) {
      if (name.is_string() && value.contains(name)) properties[name] = in_required_order(value[name]);
    }
    for (const auto& [name, property] : value.items()) {
      if (!properties.contains(name)) properties[name] = in_required_order(property);
    }
    ordered[key] = std::move(properties);
  }
  return ordered;
}

/// jsonPass: free answers that end by themselves and satisfy the schema; jsonPassConstrained: the same with
/// decoding held to it.
class JsonSchemaSuite : public Suite {
 public:
  explicit JsonSchemaSuite(nlohmann::ordered_json schema)
      : schema_(std::move(schema)), compiled_(schema::Schema::compile(schema_)) {}

  const nlohmann::ordered_json* schema() const override { return &schema_; }

  void score(const Sample&, const Answers& answers, Scores& scores) const override {
    scores["jsonPass"] = passes(answers.free);
    if (answers.constrained) scores["jsonPassConstrained"] = passes(*answers.constrained);
  }

 private:
  double passes(const Answer& answer) const {
    return answer.finish_reason == "stop" && compiled_->validate_text(answer.text).empty() ? 1.0 : 0.0;
  }

  nlohmann::ordered_json schema_;
  std::shared_ptr<const schema::Schema> compiled_;
};

}  // namespace

std::unique_ptr<Suite> make_json_schema_suite(const nlohmann::json& config, const std::string& where) {
  const auto schema = config.find("schema");
  if (schema == config.end() || !schema->is_object()) {
    throw InputError("schema is missing", where + ".schema",
                     "give the JSON Schema that answers must satisfy");
  }
  try {
    return std::make_unique<JsonSchemaSuite>(in_required_order(*schema));
  } catch (const InputError& error) {
    throw InputError(error.what(), where + ".schema");
  }
}

}  // namespace stepdown::eval
