#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "operator/compat/finding.h"
#include "operator/compat/subject.h"

namespace stepdown::compat {

struct Rule;

/// What one rule finds.
class Report {
 public:
  Report(const Rule& rule, std::vector<Finding>& out) : rule_(rule), out_(out) {}

  /// `severity`: the rule's own unless given. `mend`: the rule's own when empty.
  void add(std::string path, std::string message, std::string mend = {},
           std::optional<Severity> severity = {});

 private:
  const Rule& rule_;
  std::vector<Finding>& out_;
};

/// A row of the table. docs/rules.md is made of them.
struct Rule {
  std::string_view id;  ///< SD###: never given to another rule
  Severity severity;
  std::string_view title;
  std::string_view why;
  std::string_view example;  ///< YAML below spec that has the fault
  std::string_view mend;
  void (*look)(const Subject&, Report&);
};

// One list a topic, each in operator/compat/rules/.
std::span<const Rule> source_rules();
std::span<const Rule> method_rules();
std::span<const Rule> engine_rules();
std::span<const Rule> memory_rules();
std::span<const Rule> kv_cache_rules();
std::span<const Rule> evaluation_rules();
std::span<const Rule> rollout_rules();
std::span<const Rule> promotion_rules();

/// All of them, in the order of their ids.
std::vector<const Rule*> rule_table();

}  // namespace stepdown::compat
