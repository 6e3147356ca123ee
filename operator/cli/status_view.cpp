#include "operator/cli/status_view.h"

#include <algorithm>
#include <array>

#include "operator/cli/text_table.h"
#include "operator/kube/time.h"

namespace stepdown::cli {
namespace {

using Lines = std::vector<std::string>;
using Clock = std::chrono::system_clock;

constexpr std::size_t kBarWidth = 30;
constexpr const char* kIndent = "          ";

std::string age(const std::string& since, Clock::time_point now) {
  const auto time = kube::parse_time(since);
  if (!time) return "";
  const auto seconds =
      std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(now - *time).count());
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (seconds < 7200) return std::to_string(seconds / 60) + "m";
  return std::to_string(seconds / 3600) + "h";
}

/// Collects lines that fit a width.
class Page {
 public:
  explicit Page(std::size_t width) : width_(width) {}

  void add(const std::string& text, const char* indent = kIndent) {
    for (std::string& line : wrapped(text, width_, indent)) lines_.push_back(std::move(line));
  }
  void add_table(const std::vector<Row>& rows) {
    for (const std::string& line : table(rows)) lines_.push_back(cut(line, width_));
  }
  std::size_t width() const { return width_; }
  Lines take() { return std::move(lines_); }

 private:
  std::size_t width_;
  Lines lines_;
};

void add_headline(const api::QuantizedModelStatus& status, Page& page) {
  std::string line = "Phase     " + (status.phase.empty() ? "Pending" : status.phase);
  if (status.rollout && !status.rollout->digest.empty()) {
    line += ", " + std::to_string(status.rollout->weight) + " % to " + short_digest(status.rollout->digest);
  }
  if (status.paused.value_or(false)) line += ", paused";
  page.add(line);
  if (!status.summary.message.empty()) page.add(kIndent + status.summary.message);
}

void add_conditions(const api::QuantizedModelStatus& status, Page& page) {
  std::string marks = "Status   ";
  for (const api::Condition& condition : status.conditions) {
    marks += (condition.status == "True" ? " ✓" : condition.status == "False" ? " ✗" : " ?") + condition.type;
  }
  if (!status.conditions.empty()) page.add(marks);
  for (const api::Condition& condition : status.conditions) {
    // Most repeat the summary's sentence; those that say more are worth a line.
    const bool progress = condition.type == "Reconciling" || condition.type == "Stalled";
    if (condition.status != "False" || progress || condition.message.empty()) continue;
    if (condition.message != status.summary.message) {
      page.add(kIndent + condition.type + ": " + condition.message);
    }
  }
}

void add_rollback(const api::QuantizedModelStatus& status, Page& page, Clock::time_point now) {
  if (!status.last_rollback) return;
  const api::Rollback& rollback = *status.last_rollback;
  std::string line =
      "Rollback  " + (rollback.revision.empty() ? short_digest(rollback.digest) : rollback.revision) + " " +
      age(rollback.at, now) + " ago at " + std::to_string(rollback.weight) + " %: " + rollback.reason;
  if (!rollback.detected_by.empty()) line += " (" + rollback.detected_by + ")";
  if (rollback.ms_trip_to_fp16) line += ", FP16 after " + number(*rollback.ms_trip_to_fp16) + " ms";
  page.add(line);
  if (!rollback.message.empty()) page.add(kIndent + rollback.message);
}

void add_findings(const api::QuantizedModelStatus& status, Page& page) {
  for (const api::FindingStatus& finding : status.findings) {
    page.add(finding.id + "     " + finding.severity + " " + finding.path + ": " + finding.message);
    page.add(kIndent + finding.mend);
  }
}

void add_sources(const api::QuantizedModelStatus& status, Page& page) {
  if (status.sources.empty()) return;
  page.add("Sources");
  std::vector<Row> rows;
  for (const api::SourceStatus& each : status.sources) {
    rows.push_back({each.state, each.size > 0 ? mebibytes(each.size) : "-",
                    each.resolved.empty() ? each.source : each.resolved});
  }
  page.add_table(rows);
  for (const api::SourceStatus& each : status.sources) {
    if (!each.message.empty() && each.message != status.summary.message)
      page.add("  " + each.message, "    ");
  }
}

void add_traffic(const api::QuantizedModelStatus& status, Page& page) {
  if (status.traffic.empty()) return;
  page.add("Traffic");
  std::vector<Row> rows;
  for (const api::TrafficShare& share : status.traffic) {
    const auto filled =
        static_cast<std::size_t>(std::clamp<std::int64_t>(share.percent, 0, 100)) * kBarWidth / 100;
    std::string bar;
    for (std::size_t i = 0; i < kBarWidth; ++i) bar += i < filled ? "█" : "░";
    rows.push_back({share.role, std::to_string(share.percent) + " %", bar,
                    share.revision.empty() ? short_digest(share.digest) : share.revision});
  }
  page.add_table(rows);
}

void add_verdict(const api::QuantizedModelStatus& status, Page& page) {
  if (!status.verdict || !status.verdict->answers) return;
  const api::Verdict& verdict = *status.verdict;
  const auto errors = verdict.errors.value_or(api::Arms{});
  std::string line = "Canary    " + verdict.state + ": " + std::to_string(errors.candidate) + " errors in " +
                     std::to_string(verdict.answers->candidate) + " answers; FP16 control " +
                     std::to_string(errors.control) + " in " + std::to_string(verdict.answers->control);
  if (verdict.shadow && verdict.shadow->pairs > 0) {
    line += "; " + number(verdict.shadow->disagreement * 100) + " % of " +
            std::to_string(verdict.shadow->pairs) + " shadowed answers differ";
  }
  if (!verdict.reason.empty()) line += "; " + verdict.reason;
  page.add(line);
}

struct Column {
  const char* metric;
  const char* title;
};
constexpr std::array<Column, 10> kColumns = {{{"jsonPass", "JSON"},
                                              {"jsonPassConstrained", "CONSTRAINED"},
                                              {"fieldAccuracy", "FIELDS"},
                                              {"exactMatch", "EXACT"},
                                              {"citation", "CITATION"},
                                              {"refusal", "REFUSAL"},
                                              {"perplexity", "PERPLEXITY"},
                                              {"tokensPerSecond", "TOKENS/S"},
                                              {"peakMemoryBytes", "MEMORY"},
                                              {"latencyP99Ms", "P99 MS"}}};

std::string figure(const api::CandidateStatus& candidate, const char* name) {
  const auto found = candidate.metrics.find(name);
  if (found == candidate.metrics.end() || !found->second.value) return "-";
  if (std::string_view(name) == "peakMemoryBytes") {
    return mebibytes(static_cast<std::int64_t>(*found->second.value));
  }
  std::string text = number(*found->second.value);
  if (found->second.delta && *found->second.delta != 0) {
    text += (*found->second.delta > 0 ? " (+" : " (") + number(*found->second.delta) + ")";
  }
  return text;
}

/// As many measured columns as fit, the most telling first.
std::vector<Row> candidate_rows(const std::vector<api::CandidateStatus>& candidates, std::size_t width) {
  std::vector<Row> rows = {{"NAME", "STATE", "SIZE"}};
  for (const api::CandidateStatus& each : candidates) {
    rows.push_back({each.name == "fp16" ? "FP16" : each.name, each.state, mebibytes(each.size)});
  }
  for (const Column& column : kColumns) {
    std::vector<Row> wider = rows;
    bool measured = false;
    wider[0].emplace_back(column.title);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      wider[i + 1].push_back(figure(candidates[i], column.metric));
      measured = measured || wider[i + 1].back() != "-";
    }
    if (!measured) continue;
    const Lines lines = table(wider);
    const bool fits = std::all_of(lines.begin(), lines.end(),
                                  [&](const std::string& line) { return columns(line) <= width; });
    if (fits) rows = std::move(wider);
  }
  return rows;
}

void add_candidates(const api::QuantizedModelStatus& status, Page& page) {
  std::vector<api::CandidateStatus> candidates;
  if (status.baseline) candidates.push_back(*status.baseline);
  candidates.insert(candidates.end(), status.candidates.begin(), status.candidates.end());
  if (candidates.empty()) return;
  page.add("Candidates (measured; in brackets the difference from FP16)");
  page.add_table(candidate_rows(candidates, page.width()));
  for (const api::CandidateStatus& candidate : candidates) {
    if (!candidate.message.empty() && candidate.state != api::candidate_state::kChosen) {
      page.add("  " + candidate.name + ": " + candidate.message, "    ");
    }
  }
}

}  // namespace

Lines status_lines(const api::QuantizedModel& model, std::size_t width, Clock::time_point now) {
  const api::QuantizedModelStatus& status = model.status;
  Page page(width);
  page.add(model.metadata.ns + "/" + model.metadata.name +
           (model.metadata.deleting ? " (being deleted)" : ""));
  add_headline(status, page);
  add_rollback(status, page, now);
  add_findings(status, page);
  add_sources(status, page);
  if (status.command) {
    page.add("Command   " + status.command->verb + ": " + status.command->result +
             (status.command->message.empty() ? "" : ", " + status.command->message));
  }
  add_traffic(status, page);
  add_verdict(status, page);
  add_candidates(status, page);
  add_conditions(status, page);
  return page.take();
}

}  // namespace stepdown::cli
