#include "operator/cli/audit_report.h"

#include <sstream>

#include "operator/cli/text_table.h"

namespace stepdown::cli {
namespace {

/// "name: value", or nothing where there is no value.
void line(std::ostream& out, const char* name, const std::string& value) {
  if (!value.empty()) out << "- " << name << ": " << value << "\n";
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : " ") + word;
  return all;
}

std::string joined(const std::vector<std::int64_t>& numbers) {
  std::string all;
  for (const std::int64_t each : numbers) all += (all.empty() ? "" : ", ") + std::to_string(each);
  return all;
}

std::string figure(const std::optional<double>& value) {
  return value ? number(*value) : "";
}

void scores(std::ostream& out, const api::Metrics& metrics) {
  if (metrics.empty()) return;
  out << "\n| score (measured) | value | FP16 | difference | 95 % interval | n "
         "|\n|---|---|---|---|---|---|\n";
  for (const auto& [name, metric] : metrics) {
    out << "| " << name << " | " << figure(metric.value) << " | " << figure(metric.baseline) << " | "
        << figure(metric.delta) << " | ";
    if (metric.interval.size() == 2) out << number(metric.interval[0]) << " … " << number(metric.interval[1]);
    out << " | " << (metric.n ? std::to_string(*metric.n) : "") << " |\n";
  }
}

void provenance(std::ostream& out, const api::QuantRevisionSpec& spec) {
  line(out, "base model", spec.base.digest + (spec.base.uri.empty() ? "" : " (" + spec.base.uri + ")"));
  line(out, "tokenizer", spec.base.tokenizer_digest);
  line(out, "chat template", spec.base.template_digest);
  for (const api::MergedAdapter& each : spec.adapters) {
    line(out, "merged adapter", each.digest + ", weight " + number(each.weight));
  }
  line(out, "method", spec.method + (spec.preset.empty() ? "" : " " + spec.preset));
  line(out, "bits a weight", figure(spec.bits));
  line(out, "group size", spec.group_size ? std::to_string(*spec.group_size) : "");
  if (const auto& calibration = spec.calibration) {
    std::string text = calibration->digest;
    if (calibration->samples && !text.empty())
      text += ", " + std::to_string(*calibration->samples) + " prompts";
    if (calibration->drift) text += ", drift from the evaluation's " + number(*calibration->drift);
    line(out, "calibration data", text);
    line(out, "importance matrix", calibration->imatrix);
  }
  line(out, "made by", spec.tool_version);
  line(out, "artifact", spec.artifact.digest + " at " + spec.artifact.uri);
  line(out, "size", spec.artifact.size ? mebibytes(*spec.artifact.size) : "");
}

void validity(std::ostream& out, const api::EvaluationRecord& evaluation) {
  line(out, "measured on", evaluation.dataset);
  line(out, "context",
       evaluation.context_length ? std::to_string(*evaluation.context_length) + " tokens" : "");
  line(out, "KV cache", evaluation.kv_type);
  line(out, "layers whose KV cache stays FP16 (attention check)", joined(evaluation.fp16_kv_layers));
  line(out, "hardware",
       evaluation.hardware ? (evaluation.hardware->empty() ? "CPU" : *evaluation.hardware) : "");
  line(out, "full report", evaluation.report);
}

void candidates(std::ostream& out, const api::QuantizedModelStatus& status) {
  if (status.candidates.empty()) return;
  out << "\n## What else was tried\n\n| candidate | state | size | why |\n|---|---|---|---|\n";
  for (const api::CandidateStatus& row : status.candidates) {
    out << "| " << row.name << (row.ladder.value_or(false) ? " (ladder)" : "") << " | " << row.state << " | "
        << (row.size > 0 ? mebibytes(row.size) : "") << " | "
        << (row.message.empty() && row.state == api::candidate_state::kChosen
                ? "the smallest that meets every SLO"
                : row.message)
        << " |\n";
  }
}

/// What makes it again from files that the auditor puts in place of the capitals.
std::string reproduce_line(const api::QuantRevisionSpec& revision, const api::QuantizedModelSpec& model) {
  std::string out = "stepdown-engine reproduce --record record.json --model BASE";
  for (const api::MergedAdapter& each : revision.adapters) {
    out += " --adapter ADAPTER" + (each.weight == 1 ? "" : "=" + number(each.weight));
  }
  if (!revision.calibration) return out;
  if (!revision.calibration->digest.empty()) {
    out += " --calibration PROMPTS";
    const auto& asked = model.quantization.calibration;
    if (asked && !asked->redact_names.empty()) out += " --redact-names NAMES";
  }
  if (!revision.calibration->imatrix.empty()) out += " --imatrix IMATRIX";
  return out;
}

void rollbacks(std::ostream& out, const api::QuantizedModelStatus& status) {
  if (!status.last_rollback && status.blocked.empty()) return;
  out << "\n## Rolled back\n\n";
  for (const api::Blocked& each : status.blocked) {
    line(out, each.at.empty() ? "blocked" : each.at.c_str(), each.digest + ": " + each.reason);
  }
  if (status.last_rollback)
    line(out, "last", status.last_rollback->at + ", " + status.last_rollback->message);
}

}  // namespace

std::string audit_report(const api::QuantizedModel& model, const std::vector<api::QuantRevision>& revisions) {
  std::ostringstream out;
  out << "# " << model.metadata.ns << "/" << model.metadata.name << "\n\n";
  line(out, "phase", model.status.phase);
  line(out, "stable", model.status.stable_revision);
  for (const api::TrafficShare& share : model.status.traffic) {
    line(out, "traffic", std::to_string(share.percent) + " % " + share.revision + " (" + share.role + ")");
  }
  for (const api::QuantRevision& revision : revisions) {
    out << "\n## Revision " << revision.metadata.name << "\n\n";
    line(out, "recorded", revision.metadata.creation_timestamp);
    provenance(out, revision.spec);
    if (revision.spec.evaluation) validity(out, *revision.spec.evaluation);
    scores(out, revision.spec.scores);
    if (revision.spec.recipe.empty()) continue;
    out << "\nMade by `stepdown-engine quantize " << joined(revision.spec.recipe)
        << "`. To make it again and compare "
        << "digests:\n\n    kubectl get qr " << revision.metadata.name << " -o json > record.json\n    "
        << reproduce_line(revision.spec, model.spec) << "\n";
  }
  if (revisions.empty()) out << "\nNo quantized revision was recorded: FP16 serves.\n";
  candidates(out, model.status);
  rollbacks(out, model.status);
  return out.str();
}

}  // namespace stepdown::cli
