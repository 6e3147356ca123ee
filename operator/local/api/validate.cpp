#include <algorithm>
#include <cmath>
#include <set>

#include "operator/local/api/cel/program.h"
#include "operator/local/api/formats.h"
#include "operator/local/api/schema_walk.h"
#include "operator/local/api/typed_value.h"

namespace stepdown::local::api {
namespace {

std::string dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string type_name(const Json& value) {
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "boolean";
  if (value.is_number_float()) return "number";
  if (value.is_number()) return "integer";
  return "null";
}

bool has_type(const Json& value, const Schema& schema) {
  if (value.is_null() && schema.nullable) return true;
  if (schema.int_or_string) return value.is_string() || value.is_number_integer();
  if (schema.type.empty()) return true;
  if (schema.type == "integer") {
    return value.is_number_integer() ||
           (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>());
  }
  if (schema.type == "number") return value.is_number();
  return type_name(value) == schema.type;
}

/// What follows "Invalid value: " for a rule's subject: its type.
std::string printed(const Json& value, const Schema& schema) {
  return in_quotes(schema.type.empty() ? type_name(value) : schema.type);
}

std::size_t code_points(const std::string& bytes) {
  return static_cast<std::size_t>(std::count_if(
      bytes.begin(), bytes.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

class Validation {
 public:
  std::vector<Cause> causes;

  void node(const Json& value, const Json* old, const Schema& schema, const std::string& path) {
    if (old != nullptr && *old == value) return;  // ratcheting: what stays as it was is let be
    if (!has_type(value, schema)) {
      const std::string name = type_name(value);
      causes.push_back({"FieldValueTypeInvalid",
                        "Invalid value: " + in_quotes(name) + ": " + path + " in body must be of type " +
                            (schema.int_or_string ? "integer,string" : schema.type) + ": " + in_quotes(name),
                        path});
      return;
    }
    if (value.is_null()) return;
    enumeration(value, schema, path);
    if (value.is_string()) text(value.get_ref<const std::string&>(), schema, path);
    if (value.is_number()) number(value, schema, path);
    if (value.is_array()) list(value, old, schema, path);
    if (value.is_object()) object(value, old, schema, path);
    junctors(value, schema, path);
  }

  bool blocked() const {
    static const std::set<std::string, std::less<>> kBlocking = {
        "FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany",
        "FieldValueTypeInvalid"};
    return std::any_of(causes.begin(), causes.end(),
                       [](const Cause& cause) { return kBlocking.contains(cause.reason); });
  }

 private:
  void wrong(const std::string& path, const std::string& value, const std::string& should) {
    causes.push_back(invalid_field(path, value, path + " in body should " + should));
  }

  void too_many(const std::string& path, std::size_t have, std::uint64_t most) {
    causes.push_back(
        {"FieldValueTooMany",
         "Too many: " + std::to_string(have) + ": must have at most " + std::to_string(most) + " items",
         path});
  }

  void enumeration(const Json& value, const Schema& schema, const std::string& path) {
    const auto& allowed = schema.enumeration;
    if (allowed.empty() || std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
    std::vector<std::string> names;
    for (const Json& entry : allowed)
      names.push_back(entry.is_string() ? entry.get<std::string>() : dump(entry));
    causes.push_back(unsupported_field(path, dump(value), names));
  }

  void text(const std::string& value, const Schema& schema, const std::string& path) {
    if (schema.max_length && code_points(value) > *schema.max_length) {
      causes.push_back({"FieldValueTooLong",
                        "Too long: may not be more than " + std::to_string(*schema.max_length) + " bytes",
                        path});
    }
    if (schema.min_length && code_points(value) < *schema.min_length) {
      wrong(path, in_quotes(value), "be at least " + std::to_string(*schema.min_length) + " chars long");
    }
    if (schema.pattern && !schema.pattern->search(value))
      wrong(path, in_quotes(value), "match '" + schema.pattern_text + "'");
    if (!schema.format.empty() && !has_format(value, schema.format)) {
      causes.push_back({"FieldValueTypeInvalid",
                        "Invalid value: " + in_quotes(value) + ": " + path + " in body must be of type " +
                            schema.format + ": " + in_quotes(value),
                        path});
    }
  }

  void number(const Json& value, const Schema& schema, const std::string& path) {
    const double have = value.get<double>();
    const auto limit = [](double bound) {
      return std::trunc(bound) == bound && std::fabs(bound) < 1e15
                 ? std::to_string(static_cast<long long>(bound))
                 : dump(Json(bound));
    };
    if (schema.minimum && (schema.exclusive_minimum ? have <= *schema.minimum : have < *schema.minimum)) {
      wrong(path, dump(value),
            (schema.exclusive_minimum ? "be greater than " : "be greater than or equal to ") +
                limit(*schema.minimum));
    }
    if (schema.maximum && (schema.exclusive_maximum ? have >= *schema.maximum : have > *schema.maximum)) {
      wrong(path, dump(value),
            (schema.exclusive_maximum ? "be less than " : "be less than or equal to ") +
                limit(*schema.maximum));
    }
    if (schema.multiple_of && *schema.multiple_of > 0) {
      const double ratio = have / *schema.multiple_of;
      if (std::fabs(ratio - std::round(ratio)) > 1e-9)
        wrong(path, dump(value), "be a multiple of " + limit(*schema.multiple_of));
    }
    if (schema.format == "int32" && std::fabs(have) > 2147483647.0 && have != -2147483648.0) {
      causes.push_back(invalid_field(path, dump(value),
                                     path + " in body must be of type int32: " + in_quotes(dump(value))));
    }
  }

  void list(const Json& value, const Json* old, const Schema& schema, const std::string& path) {
    if (schema.max_items && value.size() > *schema.max_items) too_many(path, value.size(), *schema.max_items);
    if (schema.min_items && value.size() < *schema.min_items) {
      wrong(path, std::to_string(value.size()),
            "have at least " + std::to_string(*schema.min_items) + " items");
    }
    std::map<std::string, const Json*> before;
    if (granular_list(&schema) && old != nullptr && old->is_array()) {
      for (const Json& item : *old) before[key_of(item, schema)] = &item;
    }
    std::set<std::string> seen;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const std::string place = path + "[" + std::to_string(i) + "]";
      const Json* old_item = nullptr;
      if (granular_list(&schema)) {
        const std::string key = key_of(value[i], schema);
        if (!seen.insert(key).second) causes.push_back(duplicate_field(place, key));
        if (const auto it = before.find(key); it != before.end()) old_item = it->second;
      }
      if (schema.items != nullptr) node(value[i], old_item, *schema.items, place);
    }
  }

  static std::string key_of(const Json& item, const Schema& schema) {
    return schema.list_type == ListType::kSet ? dump(item) : dump(item_keys(item, schema));
  }

  void object(const Json& value, const Json* old, const Schema& schema, const std::string& path) {
    if (schema.max_properties && value.size() > *schema.max_properties)
      too_many(path, value.size(), *schema.max_properties);
    if (schema.min_properties && value.size() < *schema.min_properties) {
      wrong(path, std::to_string(value.size()),
            "have at least " + std::to_string(*schema.min_properties) + " properties");
    }
    for (const std::string& name : schema.required) {
      if (!value.contains(name)) causes.push_back(required_field(path.empty() ? name : path + "." + name));
    }
    for (const auto& [key, below] : value.items()) {
      const Schema* member = schema.member(key);
      if (member == nullptr || (path.empty() && key == "metadata")) continue;
      const Json* before = nullptr;
      if (old != nullptr && old->is_object()) {
        if (const auto it = old->find(key); it != old->end()) before = &*it;
      }
      node(below, before, *member, path.empty() ? key : path + "." + key);
    }
  }

  static bool accepts(const Schema& schema, const Json& value, const std::string& path) {
    Validation trial;
    trial.node(value, nullptr, schema, path);
    return trial.causes.empty();
  }

  void junctors(const Json& value, const Schema& schema, const std::string& path) {
    for (const Schema* part : schema.all_of) node(value, nullptr, *part, path);
    const auto passing = [&](const std::vector<const Schema*>& parts) {
      return std::count_if(parts.begin(), parts.end(),
                           [&](const Schema* part) { return accepts(*part, value, path); });
    };
    const auto must = [&](const std::string& what) {
      causes.push_back(invalid_field(path, "\"\"", in_quotes(path) + " " + what));
    };
    if (!schema.any_of.empty() && passing(schema.any_of) == 0)
      must("must validate at least one schema (anyOf)");
    if (!schema.one_of.empty()) {
      const auto count = passing(schema.one_of);
      if (count == 0) must("must validate one and only one schema (oneOf). Found none valid");
      if (count > 1)
        must("must validate one and only one schema (oneOf). Found " + std::to_string(count) +
             " valid alternatives");
    }
    if (schema.negated != nullptr && accepts(*schema.negated, value, path))
      must("must not validate the schema (not)");
  }
};

std::string message_of(const Rule& rule, const Json& value, const Json* old) {
  if (rule.message_expression) {
    try {
      const Json computed = rule.message_expression->evaluate(value, old);
      if (computed.is_string() && !computed.get_ref<const std::string&>().empty()) return computed;
    } catch (const cel::EvaluationError&) {
      // The API server, too, falls back to the fixed message.
      return rule.message.empty() ? "failed rule: " + rule.text : rule.message;
    }
  }
  return rule.message.empty() ? "failed rule: " + rule.text : rule.message;
}

void check_rule(const Rule& rule, const Schema& schema, const Json& value, const Json* old,
                const std::string& path, std::vector<Cause>& causes) {
  Json optional;
  if (rule.optional_old_self) {
    optional = old == nullptr ? Json::array() : Json::array({*old});
    old = &optional;
  }
  if (rule.program->uses_old_self() && old == nullptr) return;
  const std::string place = path.empty() && rule.field_path.empty() ? "<nil>" : path;
  std::string field = place + rule.field_path;
  if (field.starts_with('.')) field.erase(0, 1);
  try {
    const Json verdict = rule.program->evaluate(value, old);
    if (verdict.is_boolean() && verdict.get<bool>()) return;
  } catch (const cel::EvaluationError& error) {
    causes.push_back(invalid_field(place, printed(value, schema),
                                   std::string(error.what()) + " evaluating rule: " +
                                       (rule.message.empty() ? rule.text : rule.message)));
    return;
  }
  const std::string message = message_of(rule, value, old);
  if (rule.reason == "FieldValueForbidden") {
    causes.push_back(forbidden_field(field, message));
  } else if (rule.reason == "FieldValueRequired") {
    causes.push_back(required_field(field, message));
  } else if (rule.reason == "FieldValueDuplicate") {
    causes.push_back(duplicate_field(field, printed(value, schema)));
  } else {
    causes.push_back(invalid_field(field, printed(value, schema), message));
  }
}

void check_rules(const Json& value, const Json* old, const Schema& schema, const std::string& path,
                 std::vector<Cause>& causes) {
  if (value.is_null()) return;
  const bool unchanged = old != nullptr && *old == value;
  for (const Rule& rule : schema.rules) {
    if (!unchanged || rule.program->uses_old_self()) check_rule(rule, schema, value, old, path, causes);
  }
  if (value.is_object()) {
    for (const auto& [key, below] : value.items()) {
      const Schema* member = schema.member(key);
      if (member == nullptr) continue;
      const Json* before = nullptr;
      if (old != nullptr && old->is_object()) {
        if (const auto it = old->find(key); it != old->end()) before = &*it;
      }
      const bool declared = schema.properties.contains(key);  // else it is a key of a map
      const std::string place = !declared ? path + "[" + key + "]" : path.empty() ? key : path + "." + key;
      check_rules(below, before, *member, place, causes);
    }
  } else if (value.is_array() && schema.items != nullptr) {
    std::map<std::string, const Json*> before;
    const bool keyed = schema.list_type == ListType::kMap;
    if (keyed && old != nullptr && old->is_array()) {
      for (const Json& item : *old) before[dump(item_keys(item, schema))] = &item;
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
      const auto it = keyed ? before.find(dump(item_keys(value[i], schema))) : before.end();
      check_rules(value[i], it == before.end() ? nullptr : it->second, *schema.items,
                  path + "[" + std::to_string(i) + "]", causes);
    }
  }
}

bool has_rules(const Schema& schema, std::set<const Schema*>& seen) {
  if (!seen.insert(&schema).second) return false;
  if (!schema.rules.empty()) return true;
  const auto below = [&](const Schema* part) { return part != nullptr && has_rules(*part, seen); };
  return below(schema.items) || below(schema.additional) ||
         std::any_of(schema.properties.begin(), schema.properties.end(),
                     [&](const auto& member) { return below(member.second); });
}

}  // namespace

std::vector<Cause> validate(const Json& value, const Json* old, const Schema& schema,
                            const Schema* metadata_limits) {
  Validation validation;
  if (metadata_limits != nullptr && value.contains("metadata"))
    validation.node(value["metadata"], nullptr, *metadata_limits, "metadata");
  validation.node(value, old, schema, "");
  if (validation.blocked()) {
    std::set<const Schema*> seen;
    if (has_rules(schema, seen)) {
      validation.causes.push_back(
          invalid_field("<nil>", "null",
                        "some validation rules were not checked because the object was invalid; "
                        "correct the existing errors to complete validation"));
    }
    return validation.causes;
  }
  check_rules(value, old, schema, "", validation.causes);
  return validation.causes;
}

}  // namespace stepdown::local::api
