#include "operator/cli/status_view.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "operator/kube/time.h"

namespace stepdown::cli {
namespace {

using Lines = std::vector<std::string>;
using Row = std::vector<std::string>;

constexpr std::size_t kBarWidth = 30;

std::string short_digest(const std::string& digest) {
  const std::size_t colon = digest.find(':');
  return (colon == std::string::npos ? digest : digest.substr(colon + 1)).substr(0, 12);
}

/// Columns that a UTF-8 text takes; wide characters do not occur here.
std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::string cut(const std::string& text, std::size_t width) {
  if (columns(text) <= width) return text;
  std::string result;
  for (const char c : text) {
    const bool begins = (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
    if (begins && columns(result) + 1 >= width) break;
    result += c;
  }
  return result + "…";
}

std::string padded(std::string text, std::size_t width) {
  const std::size_t taken = columns(text);
  return taken < width ? text.append(width - taken, ' ') : text;
}

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), std::abs(value) >= 100 ? "%.0f" : "%.3g", value);
  return text.data();
}

std::string mebibytes(std::int64_t bytes) {
  return bytes <= 0 ? "-" : number(static_cast<double>(bytes) / 0x1p20) + " MiB";
}

std::string age(const std::string& since, std::chrono::system_clock::time_point now) {
  const auto time = kube::parse_time(since);
  if (!time) return "";
  const auto seconds =
      std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(now - *time).count());
  if (seconds < 120) return std::to_string(seconds) + "s";
  if (seconds < 7200) return std::to_string(seconds / 60) + "m";
  return std::to_string(seconds / 3600) + "h";
}

std::string metric(const api::Metrics& metrics, const char* name) {
  const auto found = metrics.find(name);
  if (found == metrics.end() || !found->second.value) return "-";
  std::string text = number(*found->second.value);
  if (found->second.delta && *found->second.delta != 0) {
    text += (*found->second.delta > 0 ? " (+" : " (") + number(*found->second.delta) + ")";
  }
  return text;
}

void add_table(const std::vector<Row>& rows, Lines& lines) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  for (const Row& row : rows) {
    std::string line = "  ";
    for (std::size_t i = 0; i < row.size(); ++i) line += padded(row[i], widths[i] + 2);
    lines.push_back(line.substr(0, line.find_last_not_of(' ') + 1));
  }
}

void add_traffic(const api::QuantizedModelStatus& status, Lines& lines) {
  if (status.traffic.empty()) return;
  lines.emplace_back("Traffic");
  std::vector<Row> rows;
  for (const api::TrafficShare& share : status.traffic) {
    const auto filled =
        static_cast<std::size_t>(std::clamp<std::int64_t>(share.percent, 0, 100)) * kBarWidth / 100;
    std::string bar;
    for (std::size_t i = 0; i < kBarWidth; ++i) bar += i < filled ? "█" : "░";
    rows.push_back({share.role, std::to_string(share.percent) + " %", bar,
                    share.revision.empty() ? short_digest(share.digest) : share.revision});
  }
  add_table(rows, lines);
}

void add_candidates(const api::QuantizedModelStatus& status, Lines& lines) {
  if (!status.baseline && status.candidates.empty()) return;
  lines.emplace_back("Candidates (measured; in brackets the difference from FP16)");
  std::vector<Row> rows = {{"NAME", "STATE", "SIZE", "JSON", "FIELDS", "PERPLEXITY", "TOKENS/S", "MEMORY"}};
  const auto row = [&rows](const api::CandidateStatus& candidate, const std::string& name) {
    const auto memory = candidate.metrics.find("peakMemoryBytes");
    const bool measured = memory != candidate.metrics.end() && memory->second.value;
    rows.push_back({name, candidate.state, mebibytes(candidate.size), metric(candidate.metrics, "jsonPass"),
                    metric(candidate.metrics, "fieldAccuracy"), metric(candidate.metrics, "perplexity"),
                    metric(candidate.metrics, "tokensPerSecond"),
                    measured ? mebibytes(static_cast<std::int64_t>(*memory->second.value)) : "-"});
  };
  if (status.baseline) row(*status.baseline, "FP16");
  for (const api::CandidateStatus& candidate : status.candidates) row(candidate, candidate.name);
  add_table(rows, lines);
  for (const api::CandidateStatus& candidate : status.candidates) {
    if (!candidate.message.empty() && candidate.state != api::candidate_state::kChosen) {
      lines.push_back("  " + candidate.name + ": " + candidate.message);
    }
  }
}

void add_verdict(const api::QuantizedModelStatus& status, Lines& lines) {
  if (!status.verdict || !status.verdict->answers) return;
  const api::Verdict& verdict = *status.verdict;
  std::string line = "Canary    " + verdict.state + ": ";
  const auto errors = verdict.errors.value_or(api::Arms{});
  line += std::to_string(errors.candidate) + " errors in " + std::to_string(verdict.answers->candidate) +
          " answers; FP16 control " + std::to_string(errors.control) + " in " +
          std::to_string(verdict.answers->control);
  if (!verdict.reason.empty()) line += "; " + verdict.reason;
  lines.push_back(line);
}

void add_problems(const api::QuantizedModelStatus& status, Lines& lines,
                  std::chrono::system_clock::time_point now) {
  if (status.last_rollback) {
    const api::Rollback& rollback = *status.last_rollback;
    std::string line =
        "Rollback  " + (rollback.revision.empty() ? short_digest(rollback.digest) : rollback.revision) + " " +
        age(rollback.at, now) + " ago at " + std::to_string(rollback.weight) + " %: " + rollback.reason;
    if (!rollback.detected_by.empty()) line += " (" + rollback.detected_by + ")";
    if (rollback.ms_trip_to_fp16) line += ", FP16 after " + number(*rollback.ms_trip_to_fp16) + " ms";
    lines.push_back(line);
    if (!rollback.message.empty()) lines.push_back("          " + rollback.message);
  }
  for (const api::FindingStatus& finding : status.findings) {
    lines.push_back(finding.id + " " + finding.severity + " " + finding.path + ": " + finding.message);
    lines.push_back("          " + finding.mend);
  }
}

std::string headline(const api::QuantizedModelStatus& status) {
  std::string line = "Phase     " + (status.phase.empty() ? "Pending" : status.phase);
  if (status.rollout && !status.rollout->digest.empty()) {
    line += ", " + std::to_string(status.rollout->weight) + " % to " + short_digest(status.rollout->digest);
  }
  if (status.paused.value_or(false)) line += ", paused";
  return line;
}

}  // namespace

Lines status_lines(const api::QuantizedModel& model, std::size_t width,
                   std::chrono::system_clock::time_point now) {
  const api::QuantizedModelStatus& status = model.status;
  Lines lines;
  lines.push_back(model.metadata.ns + "/" + model.metadata.name +
                  (model.metadata.deleting ? " (being deleted)" : ""));
  lines.push_back(headline(status));
  if (!status.summary.message.empty()) lines.push_back("          " + status.summary.message);
  std::string conditions = "Status   ";
  for (const api::Condition& condition : status.conditions) {
    const char* mark = condition.status == "True" ? " ✓" : condition.status == "False" ? " ✗" : " ?";
    conditions += mark + condition.type;
  }
  if (!status.conditions.empty()) lines.push_back(conditions);
  for (const api::Condition& condition : status.conditions) {
    const bool bad = condition.type == "Stalled" ? condition.status == "True" : condition.status == "False";
    if (bad && !condition.message.empty()) lines.push_back("  " + condition.type + ": " + condition.message);
  }
  add_traffic(status, lines);
  add_candidates(status, lines);
  add_verdict(status, lines);
  add_problems(status, lines, now);
  if (status.command) {
    lines.push_back("Command   " + status.command->verb + ": " + status.command->result +
                    (status.command->message.empty() ? "" : ", " + status.command->message));
  }
  for (std::string& line : lines) line = cut(line, width);
  return lines;
}

}  // namespace stepdown::cli
