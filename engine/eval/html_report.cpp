#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

#include "engine/eval/html_parts.h"
#include "engine/eval/metric_kinds.h"
#include "engine/eval/report.h"

namespace stepdown::eval {
namespace {

/// Good, bad or neither: by the metric's direction, and only where the interval (if any) excludes no change.
std::string_view verdict_class(std::string_view name, const Metric& metric) {
  if (!metric.delta || *metric.delta == 0) return "";
  if (metric.interval && metric.interval->low <= 0 && metric.interval->high >= 0) return "";
  return (*metric.delta > 0) == metric_kind(name).higher_is_better ? "good" : "bad";
}

std::string shown(const std::optional<double>& value, Unit unit) {
  return value ? shown(*value, unit) : "–";
}

/// A paired difference and its 95 % interval as a bar about the line of no change, over `scale` to each side.
void interval_bar(std::ostream& out, const Metric& metric, double scale) {
  constexpr double kHalf = 80;
  const auto x = [&](double value) { return kHalf + std::clamp(value / scale, -1.0, 1.0) * (kHalf - 6); };
  out << "<svg viewBox=\"0 0 " << 2 * kHalf << " 16\" width=\"" << 2 * kHalf << "\"><path d=\"M" << kHalf
      << " 0V16\" stroke=\"#bbb\"/><path d=\"M" << x(metric.interval->low) << " 8H"
      << x(metric.interval->high) << "\" class=\"range\"/><circle cx=\"" << x(*metric.delta)
      << "\" cy=\"8\" r=\"4\"/></svg>";
}

void metrics_table(std::ostream& out, const Report& report) {
  std::map<Unit, double> scales = {{Unit::kShare, 0.005}};  // half a point: less is not blown up
  for (const auto& [name, metric] : report.metrics) {
    if (!metric.delta || !metric.interval) continue;
    double& scale = scales[metric_kind(name).unit];
    scale = std::max({scale, std::abs(metric.interval->low), std::abs(metric.interval->high)});
  }
  out << "<table><tr><th>metric</th><th>measured</th><th>FP16 baseline</th><th>difference</th>"
         "<th>95 % interval</th><th></th><th>n</th></tr>\n";
  for (const auto& [name, metric] : report.metrics) {
    const MetricKind kind = metric_kind(name);
    out << "<tr class=\"" << verdict_class(name, metric) << "\"><td>" << html_escaped(name) << "<small>"
        << kind.meaning << "</small></td><td>" << shown(metric.value, kind.unit) << "</td><td>"
        << shown(metric.baseline, kind.unit) << "</td><td>"
        << (metric.delta ? shown(*metric.delta, kind.unit, true) : "–") << "</td><td>";
    if (metric.interval) {
      const bool difference = metric.delta.has_value();
      out << shown(metric.interval->low, kind.unit, difference) << " … "
          << shown(metric.interval->high, kind.unit, difference) << "</td><td>";
      if (difference) interval_bar(out, metric, std::max(scales[kind.unit], 1e-9));
    } else {
      out << "</td><td>";
    }
    out << "</td><td>" << metric.n << "</td></tr>\n";
  }
  out << "</table>\n";
}

constexpr double kWidth = 640;
constexpr double kHeight = 220;
constexpr double kMargin = 40;

std::vector<double> sorted_latencies(const Report& report) {
  std::vector<double> values;
  for (const SampleResult& sample : report.samples) values.push_back(sample.latency_ms);
  std::ranges::sort(values);
  return values;
}

void curve(std::ostream& out, const std::vector<double>& sorted, double most, std::string_view color) {
  if (sorted.empty()) return;
  out << "<polyline fill=\"none\" stroke=\"" << color << "\" stroke-width=\"2\" points=\"";
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const double share = static_cast<double>(i + 1) / static_cast<double>(sorted.size());
    out << kMargin + sorted[i] / most * (kWidth - 2 * kMargin) << ','
        << kHeight - kMargin - share * (kHeight - 2 * kMargin) << ' ';
  }
  out << "\"/>";
}

/// The share of answers finished within a time: measured in blue, baseline in grey.
void latency_plot(std::ostream& out, const Report& report, const std::optional<Report>& baseline) {
  const auto measured = sorted_latencies(report);
  const auto before = baseline ? sorted_latencies(*baseline) : std::vector<double>{};
  if (measured.empty()) return;
  const double most = std::max({1e-3, measured.back(), before.empty() ? 0.0 : before.back()});
  out << "<h2>Latency of an answer</h2><svg viewBox=\"0 0 " << kWidth << ' ' << kHeight << "\" width=\""
      << kWidth << "\" role=\"img\"><title>share of answers finished within a time</title>"
      << "<path d=\"M" << kMargin << ' ' << kMargin << "V" << kHeight - kMargin << "H" << kWidth - kMargin
      << "\" fill=\"none\" stroke=\"#888\"/>";
  curve(out, before, most, "#999");
  curve(out, measured, most, "#1f6feb");
  for (int tick = 0; tick <= 4; ++tick) {
    const double share = tick / 4.0;
    out << "<text x=\"" << kMargin + share * (kWidth - 2 * kMargin) << "\" y=\"" << kHeight - kMargin + 16
        << "\" text-anchor=\"middle\">" << std::lround(share * most) << " ms</text><text x=\"" << kMargin - 6
        << "\" y=\"" << kHeight - kMargin - share * (kHeight - 2 * kMargin) + 4 << "\" text-anchor=\"end\">"
        << 25 * tick << "%</text>";
  }
  out << "</svg><p class=\"key\"><span style=\"color:#1f6feb\">■</span> measured";
  if (!before.empty()) out << " &nbsp; <span style=\"color:#999\">■</span> FP16 baseline";
  out << "</p>\n";
}

}  // namespace

std::string to_html(const Report& report, const std::optional<Report>& baseline, const Prompts& prompts) {
  std::ostringstream out;
  out << R"(<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Stepdown evaluation</title><style>
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1f2328}
table{border-collapse:collapse;display:block;overflow-x:auto}svg{max-width:100%}
td,th{padding:.25rem .8rem;border-bottom:1px solid #d0d7de;text-align:right;white-space:nowrap}
td:first-child,th:first-child{text-align:left}td small{display:block;color:#57606a}
.good td:nth-child(4){color:#1a7f37}.bad td:nth-child(4){color:#cf222e}
td svg{fill:#57606a}.good svg{fill:#1a7f37}.bad svg{fill:#cf222e}.range{stroke:#8c959f;stroke-width:2}
pre{background:#f6f8fa;padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere;margin:.3rem 0}mark{background:#ffd8b5}
svg text{font-size:11px;fill:#57606a}.key{color:#57606a}.warning{background:#fff8c5;padding:.4rem .8rem}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:0 1rem}@media(max-width:40rem){.pair{grid-template-columns:1fr}}summary{cursor:pointer}summary small{color:#57606a}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{color:#57606a}dd{margin:0;overflow-wrap:anywhere}
</style><h1>Evaluation</h1><p>Every figure was measured in this run; the setting says what it is valid for.</p><dl>)";
  for (const auto* facts : {&report.model, &report.setting}) {
    for (const auto& [name, value] : facts->items()) {
      out << "<dt>" << html_escaped(name) << "</dt><dd>"
          << html_escaped(value.is_string() ? value.get<std::string>() : value.dump()) << "</dd>";
    }
  }
  out << "</dl>\n";
  for (const std::string& warning : report.warnings)
    out << "<p class=\"warning\">" << html_escaped(warning) << "</p>\n";
  metrics_table(out, report);
  latency_plot(out, report, baseline);
  if (baseline) answers_side_by_side(out, report, *baseline, prompts);
  out << "</html>\n";
  return out.str();
}

}  // namespace stepdown::eval
