#include <algorithm>
#include <cmath>
#include <sstream>

#include "engine/eval/report.h"

namespace stepdown::eval {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string shown(double value) {
  if (!std::isfinite(value)) return "∞";
  std::ostringstream out;
  out.precision(std::abs(value) >= 1000 ? 0 : 4);
  if (std::abs(value) >= 1000) out << std::fixed;
  out << value;
  return out.str();
}

std::string shown(const std::optional<double>& value) {
  return value ? shown(*value) : "–";
}

/// Good, bad or neither: by the metric's direction, and only where the interval (if any) excludes no change.
std::string_view verdict_class(std::string_view name, const Metric& metric) {
  if (!metric.delta || *metric.delta == 0) return "";
  if (metric.interval && metric.interval->low <= 0 && metric.interval->high >= 0) return "";
  return (*metric.delta > 0) == higher_is_better(name) ? "good" : "bad";
}

void metrics_table(std::ostream& out, const Report& report) {
  out << "<table><tr><th>metric</th><th>measured</th><th>FP16 baseline</th><th>difference</th>"
         "<th>95 % interval</th><th>n</th></tr>\n";
  for (const auto& [name, metric] : report.metrics) {
    out << "<tr class=\"" << verdict_class(name, metric) << "\"><td>" << escaped(name) << "</td><td>"
        << shown(metric.value) << "</td><td>" << shown(metric.baseline) << "</td><td>" << shown(metric.delta)
        << "</td><td>";
    if (metric.interval) out << shown(metric.interval->low) << " … " << shown(metric.interval->high);
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
        << "\" text-anchor=\"middle\">" << shown(std::round(share * most)) << " ms</text><text x=\""
        << kMargin - 6 << "\" y=\"" << kHeight - kMargin - share * (kHeight - 2 * kMargin) + 4
        << "\" text-anchor=\"end\">" << 25 * tick << "%</text>";
  }
  out << "</svg><p class=\"key\"><span style=\"color:#1f6feb\">■</span> measured";
  if (!before.empty()) out << " &nbsp; <span style=\"color:#999\">■</span> FP16 baseline";
  out << "</p>\n";
}

double total(const Scores& scores) {
  double sum = 0;
  for (const auto& [name, score] : scores) sum += score;
  return sum;
}

/// The prompts on which the model does worse than the baseline, worst first; what an engineer reads next.
void regressions(std::ostream& out, const Report& report, const Report& baseline) {
  std::map<std::string, const SampleResult*> before;
  for (const SampleResult& sample : baseline.samples) before[sample.id] = &sample;
  std::vector<std::pair<double, const SampleResult*>> worse;
  for (const SampleResult& sample : report.samples) {
    const auto partner = before.find(sample.id);
    if (partner == before.end()) continue;
    const double loss = total(partner->second->scores) - total(sample.scores);
    if (loss > 0) worse.emplace_back(loss, &sample);
  }
  std::ranges::stable_sort(worse, std::greater<>(), &std::pair<double, const SampleResult*>::first);
  out << "<h2>Prompts that got worse: " << worse.size() << " of " << report.samples.size() << "</h2>\n";
  constexpr std::size_t kShown = 20;
  for (std::size_t i = 0; i < std::min(worse.size(), kShown); ++i) {
    const SampleResult& sample = *worse[i].second;
    out << "<details><summary>" << escaped(sample.id) << "</summary><p>FP16:</p><pre>"
        << escaped(before[sample.id]->text) << "</pre><p>measured (" << escaped(sample.finish_reason)
        << "):</p><pre>" << escaped(sample.text) << "</pre></details>\n";
  }
}

}  // namespace

std::string to_html(const Report& report, const std::optional<Report>& baseline) {
  std::ostringstream out;
  out << R"(<!doctype html><html lang="en"><meta charset="utf-8"><title>Stepdown evaluation</title><style>
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2328}
table{border-collapse:collapse}td,th{padding:.25rem .8rem;border-bottom:1px solid #d0d7de;text-align:right}
td:first-child,th:first-child{text-align:left}.good td:nth-child(4){color:#1a7f37}.bad td:nth-child(4){color:#cf222e}
pre{background:#f6f8fa;padding:.6rem;white-space:pre-wrap}svg text{font-size:11px;fill:#57606a}.key{color:#57606a}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{color:#57606a}dd{margin:0;overflow-wrap:anywhere}
</style><h1>Evaluation</h1><p>Every figure was measured in this run; the setting says what it is valid for.</p><dl>)";
  for (const auto* facts : {&report.model, &report.setting}) {
    for (const auto& [name, value] : facts->items()) {
      out << "<dt>" << escaped(name) << "</dt><dd>"
          << escaped(value.is_string() ? value.get<std::string>() : value.dump()) << "</dd>";
    }
  }
  out << "</dl>\n";
  metrics_table(out, report);
  latency_plot(out, report, baseline);
  if (baseline) regressions(out, report, *baseline);
  out << "</html>\n";
  return out.str();
}

}  // namespace stepdown::eval
