#include "operator/compat/rules.h"

#include <algorithm>

#include "operator/compat/rule.h"

namespace stepdown::compat {

std::string_view severity_name(Severity severity) {
  if (severity == Severity::kError) return "error";
  return severity == Severity::kWarning ? "warning" : "note";
}

bool has_errors(const std::vector<Finding>& findings) {
  return std::ranges::any_of(findings, [](const Finding& each) { return each.severity == Severity::kError; });
}

void Report::add(std::string path, std::string message, std::string mend, std::optional<Severity> severity) {
  out_.push_back({std::string(rule_.id), severity.value_or(rule_.severity), std::move(path),
                  std::move(message), mend.empty() ? std::string(rule_.mend) : std::move(mend)});
}

std::vector<const Rule*> rule_table() {
  std::vector<const Rule*> table;
  for (const auto topic : {source_rules(), method_rules(), engine_rules(), memory_rules(), kv_cache_rules(),
                           evaluation_rules(), rollout_rules(), promotion_rules()}) {
    for (const Rule& rule : topic) table.push_back(&rule);
  }
  std::ranges::sort(table, {}, &Rule::id);
  return table;
}

std::vector<Finding> judge(const api::QuantizedModelSpec& spec, const Inventory& inventory) {
  static const std::vector<const Rule*> kTable = rule_table();
  api::QuantizedModelSpec effective = spec;
  effective.quantization.candidates = api::candidates_of(spec.quantization);
  const Subject subject(effective, inventory);
  std::vector<Finding> findings;
  for (const Rule* rule : kTable) {
    Report report(*rule, findings);
    rule->look(subject, report);
  }
  return findings;
}

}  // namespace stepdown::compat
