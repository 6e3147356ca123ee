#pragma once

#include <span>
#include <string>
#include <string_view>

namespace stepdown::eval {

enum class Unit { kShare, kPlain, kMilliseconds, kBytes, kPerSecond };

/// What a metric's figure means.
struct MetricKind {
  std::string_view name;     ///< as in report.json and spec.evaluation.slo
  std::string_view meaning;  ///< a line for people
  Unit unit;
  bool higher_is_better;
};

std::span<const MetricKind> metric_kinds();

/// Of the table; a metric that is not in it is a share of prompts, the more the better.
MetricKind metric_kind(std::string_view name);

/// A figure as people read it: 99.5 %, 31.2 MiB, 104 ms. `difference`: with its sign, shares in points.
std::string shown(double value, Unit unit, bool difference = false);

}  // namespace stepdown::eval
