#include "operator/gateway/cluster/verdict_status.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "operator/gateway/judge/member.h"
#include "operator/kube/time.h"

namespace stepdown::gateway {
namespace {

using nlohmann::json;

struct Said {
  Detector detector;
  const char* reason;
  const char* sentence;
};
constexpr Said kSaid[] = {
    {Detector::kEProcess, "ErrorsAboveControl", "fails more often than the concurrent FP16 control"},
    {Detector::kCeiling, "FailuresAboveCeiling", "fails requests that FP16 answers, more often than allowed"},
    {Detector::kShadow, "DisagreesWithFP16", "answers differ from FP16's more than allowed"},
    {Detector::kLatency, "SlowerThanControl", "has a p99 latency above the allowed ratio to FP16's"},
    {Detector::kUnreachable, "EngineUnreachable", "has engines listed as ready that cannot be reached"},
    {Detector::kRetryBudget, "RetryBudgetExhausted", "needed more FP16 retries than the budget holds"},
};

const Said& said(Detector detector) {
  for (const Said& entry : kSaid) {
    if (entry.detector == detector) return entry;
  }
  return kSaid[0];
}

// A restart is over sooner: it is not worth a transition of the condition.
constexpr std::chrono::seconds kShortest{5};

double ms_between(WallTime from, WallTime to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

void add_counts(json& verdict, const Evidence& evidence) {
  verdict["answers"] = {{"candidate", evidence.candidate_answers}, {"control", evidence.control_answers}};
  verdict["errors"] = {{"candidate", evidence.candidate_errors}, {"control", evidence.control_errors}};
  const double pairs = static_cast<double>(evidence.shadow_pairs);
  verdict["shadow"] = {{"pairs", evidence.shadow_pairs},
                       {"disagreement", evidence.shadow_pairs == 0 ? 0 : evidence.disagreement / pairs}};
  verdict["evidence"]["logEProcess"] = log_mixture(evidence.arm);
  verdict["evidence"]["logCeiling"] = log_mixture(evidence.ceiling);
  verdict["evidence"]["logShadow"] = log_mixture(evidence.shadow);
  verdict["evidence"]["logLatency"] = log_mixture(evidence.latency);
  verdict["evidence"]["slow"] = {{"candidate", evidence.slow_candidate}, {"control", evidence.slow_control}};
  if (evidence.candidate_p99_ms > 0 && evidence.control_p99_ms > 0) {
    verdict["evidence"]["p99Ms"] = {{"candidate", evidence.candidate_p99_ms},
                                    {"control", evidence.control_p99_ms}};
  }
  verdict["evidence"]["failedWhereFp16Passed"] = evidence.failed_where_fp16_passed;
}

json condition(std::string_view status, std::string_view reason, const std::string& message,
               std::int64_t generation) {
  return {{"type", "CanaryHealthy"},
          {"status", status},
          {"reason", reason},
          {"message", message},
          {"observedGeneration", generation}};
}

// The epoch is the one followed now: the operator waits to see that before it takes engines away.
json tripped(const Trip& trip, std::uint64_t epoch, std::int64_t generation) {
  const Said& words = said(trip.detected_by);
  json verdict = {{"digest", trip.digest},
                  {"epoch", std::max(trip.epoch, epoch)},
                  {"state", "Tripped"},
                  {"reason", words.reason},
                  {"detectedBy", name(trip.detected_by)},
                  {"badAnswers", trip.bad_answers},
                  {"firstBadAt", kube::format_micro_time(trip.first_bad_at)},
                  {"trippedAt", kube::format_micro_time(trip.at)},
                  {"evidence", {{"fault", trip.reason}}}};
  add_counts(verdict, trip.evidence);
  if (trip.fp16_at) {
    verdict["fp16At"] = kube::format_micro_time(*trip.fp16_at);
    verdict["msTripToFp16"] = ms_between(trip.at, *trip.fp16_at);
    verdict["msSinceFirstBad"] = ms_between(trip.first_bad_at, *trip.fp16_at);
  }
  const std::string message = "all traffic is on FP16: the revision " + std::string(words.sentence) + " (" +
                              trip.reason + ", " + std::to_string(trip.bad_answers) + " bad answers)";
  return {{"conditions", json::array({condition("False", words.reason, message, generation)})},
          {"verdict", std::move(verdict)}};
}

json watching(const Trial& trial, const Rollout& rollout, bool unreachable, std::int64_t generation) {
  const Evidence evidence = trial.combined();
  json verdict = {{"digest", trial.digest()},
                  {"epoch", rollout.epoch},
                  {"state", "Watching"},
                  {"stepAnswers", evidence.step_answers},
                  {"badAnswers", evidence.candidate_errors}};
  add_counts(verdict, evidence);
  json told = condition("True", "WithinLimits", "no test has evidence against the revision", generation);
  if (unreachable) {
    told =
        condition("False", "EngineUnreachable",
                  "the revision's engines are listed as ready but cannot be reached; FP16 answers in their "
                  "place",
                  generation);
  } else if (evidence.candidate_answers == 0) {
    told = condition("Unknown", "NoAnswersYet", "the revision has answered nothing yet", generation);
  } else if (trial.digest() == rollout.candidate && evidence.step_answers < rollout.min_answers) {
    told =
        condition("Unknown", "TooFewAnswers",
                  "no test has evidence against the revision, but this step needs more answers", generation);
  }
  return {{"conditions", json::array({std::move(told)})}, {"verdict", std::move(verdict)}};
}

}  // namespace

json verdict_status(const Traffic& traffic, std::int64_t generation, WallTime now) {
  const std::string subject = traffic.subject();
  if (subject.empty()) return nullptr;
  const Trip* trip = traffic.trips().find(subject);
  const Trial* trial = traffic.trial(subject);
  if (trip == nullptr && trial == nullptr) return json();
  const auto since = traffic.unreachable_since(subject);
  json status = trip != nullptr
                    ? tripped(*trip, traffic.rollout().epoch, generation)
                    : watching(*trial, traffic.rollout(), since && now - *since >= kShortest, generation);
  if (const auto missed = traffic.fp16_missed_at()) {
    status["verdict"]["fp16WantedAt"] = kube::format_micro_time(*missed);
  }
  return status;
}

json essence(const json& status) {
  if (!status.is_object()) return nullptr;
  json kept = status;
  for (const char* count : {"answers", "stepAnswers", "errors", "shadow", "badAnswers", "evidence"})
    kept["verdict"].erase(count);
  return kept;
}

void keep_transition_times(json& conditions, const json& before, const std::string& now) {
  for (json& condition : conditions) {
    condition["lastTransitionTime"] = now;
    if (!before.is_array()) continue;
    for (const json& old : before) {
      if (member(old, "type") != condition["type"] || member(old, "status") != condition["status"]) continue;
      const json& since = member(old, "lastTransitionTime");
      if (since.is_string()) condition["lastTransitionTime"] = since;
    }
  }
}

std::optional<Trip> trip_of_status(const json& model) {
  const json& verdict = member(member(model, "status"), "verdict");
  if (member(verdict, "state") != "Tripped") return std::nullopt;
  const json& evidence = member(verdict, "evidence");
  const auto text = [](const json& value) {
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  const auto count = [](const json& value) {
    return value.is_number_unsigned() ? value.get<std::uint64_t>() : std::uint64_t{0};
  };
  const auto time = [&](const char* name) { return kube::parse_time(text(member(verdict, name))); };
  Trip trip;
  trip.digest = text(member(verdict, "digest"));
  if (trip.digest.empty()) return std::nullopt;
  trip.epoch = count(member(verdict, "epoch"));
  trip.detected_by = detector_named(text(member(verdict, "detectedBy"))).value_or(Detector::kEProcess);
  trip.reason = text(member(evidence, "fault"));
  trip.bad_answers = count(member(verdict, "badAnswers"));
  trip.at = time("trippedAt").value_or(WallTime{});
  trip.first_bad_at = time("firstBadAt").value_or(trip.at);
  trip.fp16_at = time("fp16At");
  const json& answers = member(verdict, "answers");
  const json& errors = member(verdict, "errors");
  trip.evidence.candidate_answers = count(member(answers, "candidate"));
  trip.evidence.control_answers = count(member(answers, "control"));
  trip.evidence.candidate_errors = count(member(errors, "candidate"));
  trip.evidence.control_errors = count(member(errors, "control"));
  return trip;
}

}  // namespace stepdown::gateway
