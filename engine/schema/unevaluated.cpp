// `unevaluatedProperties` and `unevaluatedItems` beside schemas for the same value: said by plain keywords,
// where what those schemas look at does not depend on the value.
#include <algorithm>

#include "engine/base/error.h"
#include "engine/schema/schema_compiler.h"

namespace stepdown::schema {
namespace {

using nlohmann::ordered_json;

/// What schemas look at in a container.
struct Evaluated {
  ordered_json names = ordered_json::object();  ///< each true, in the schemas' order
  bool all_properties = false;
  bool patterns = false;
  std::size_t first_items = 0;
  bool all_items = false;
  bool some_items = false;  ///< those that `contains` is valid for

  void add(const ordered_json& schema) {
    if (const auto found = schema.find("properties"); found != schema.end() && found->is_object()) {
      for (const auto& [name, value] : found->items()) names[name] = true;
    }
    if (const auto found = schema.find("prefixItems"); found != schema.end())
      first_items = std::max(first_items, found->size());
    patterns = patterns || schema.contains("patternProperties");
    all_properties = all_properties || schema.contains("additionalProperties");
    all_items = all_items || schema.contains("items");
    some_items = some_items || schema.contains("contains");
  }
};

bool is_flat(const ordered_json& schema) {
  return std::ranges::none_of(schema.items(), [](const auto& entry) { return is_combinator(entry.key()); });
}

const char* const kUnevaluated[] = {"unevaluatedProperties", "unevaluatedItems"};

}  // namespace

/// Follows what is valid for the same value: into `always` what certainly is, into `perhaps` what might be.
class SchemaCompiler::Evaluation {
 public:
  Evaluation(const SchemaCompiler& compiler, const std::string& path) : compiler_(compiler), path_(path) {}

  Evaluated always, perhaps;

  /// `outermost`: its own `unevaluated…` is the one that is asked about.
  void look(const ordered_json& schema, bool certain, bool outermost) {
    constexpr std::size_t kMostSteps = 10'000;
    constexpr int kDeepestLook = 100;  // as schemas nest
    if (!schema.is_object()) return;
    if (++steps_ > kMostSteps || ++depth_ > kDeepestLook)
      throw InputError("the schema has too many combinations", path_);
    Evaluated& into = certain ? always : perhaps;
    into.add(schema);
    if (!outermost) {
      into.all_properties = into.all_properties || schema.contains(kUnevaluated[0]);
      into.all_items = into.all_items || schema.contains(kUnevaluated[1]);
    }
    if (const auto found = schema.find("$ref"); found != schema.end()) {
      const ordered_json& target = compiler_.target_of(*found, path_);
      if (referred_.insert({&target, certain}).second) look(target, certain, false);
    }
    each(schema, "allOf", certain);
    for (const char* keyword : {"anyOf", "oneOf", "dependentSchemas"}) each(schema, keyword, false);
    for (const char* keyword : {"if", "then", "else"}) {
      if (const auto found = schema.find(keyword); found != schema.end()) look(*found, false, false);
    }
    --depth_;
  }

  bool properties_are_certain() const {
    if (always.all_properties) return true;
    return !always.patterns && !perhaps.patterns && !perhaps.all_properties &&
           std::ranges::all_of(perhaps.names.items(),
                               [this](const auto& entry) { return always.names.contains(entry.key()); });
  }
  bool items_are_certain() const {
    if (always.all_items) return true;
    return !always.some_items && !perhaps.some_items && !perhaps.all_items &&
           perhaps.first_items <= always.first_items;
  }

 private:
  void each(const ordered_json& schema, const char* keyword, bool certain) {
    const auto found = schema.find(keyword);
    if (found == schema.end()) return;
    for (const ordered_json& one : *found) look(one, certain, false);
  }

  const SchemaCompiler& compiler_;
  const std::string& path_;
  std::set<std::pair<const ordered_json*, bool>> referred_;
  std::size_t steps_ = 0;
  int depth_ = 0;
};

void SchemaCompiler::plain_unevaluated(ordered_json& part, std::vector<ordered_json>& parts,
                                       const std::string& path) const {
  const auto holds = [&part](const char* keyword) { return part.contains(keyword); };
  if (std::ranges::none_of(kUnevaluated, holds)) return;
  if (holds("patternProperties") && holds(kUnevaluated[0]) && !holds("additionalProperties") &&
      is_flat(part)) {
    part["additionalProperties"] = part[kUnevaluated[0]];
    part.erase(kUnevaluated[0]);
  }
  const auto take_rest = [&part](const char* keyword) {
    const ordered_json rest = part.value(keyword, ordered_json(true));
    part.erase(keyword);
    return rest;
  };
  Evaluation evaluation(*this, path);
  evaluation.look(part, true, true);
  const Evaluated& always = evaluation.always;
  const auto refuse_unless = [&](bool certain, const std::string& keyword) {
    if (certain) return;
    throw InputError(
        "'" + keyword + "' is supported only where what is beside it declares the same for all values", path,
        "move it into the alternatives");
  };
  ordered_json plain = ordered_json::object();
  if (const ordered_json rest = take_rest(kUnevaluated[0]); rest != true && !always.all_properties) {
    refuse_unless(evaluation.properties_are_certain(), kUnevaluated[0]);
    plain["properties"] = always.names;
    plain["additionalProperties"] = rest;
  }
  if (const ordered_json rest = take_rest(kUnevaluated[1]); rest != true && !always.all_items) {
    refuse_unless(evaluation.items_are_certain(), kUnevaluated[1]);
    if (always.first_items > 0) plain["prefixItems"] = std::vector<bool>(always.first_items, true);
    plain["items"] = rest;
  }
  if (!plain.empty()) parts.push_back(std::move(plain));
}

}  // namespace stepdown::schema
