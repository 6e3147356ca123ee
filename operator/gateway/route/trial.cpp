#include "operator/gateway/route/trial.h"

#include <algorithm>
#include <utility>

namespace stepdown::gateway {
namespace {

constexpr std::size_t kMostPeers = 64;

}  // namespace

Trial::Trial(std::string digest, const Limits& limits)
    : digest_(std::move(digest)), tests_(limits), slow_(limits.latency_p99_ratio), own_(tests_.start()) {}

void Trial::answered(const Answer& answer) {
  const bool failed = answer.fault != Fault::kNone;
  if (!failed) {
    budget_.succeeded();
    took(answer, true);
  } else if (answer.fp16_passed && !budget_.spend()) {
    exhausted_ = true;
  }
  if (!answer.session.empty() && failed_sessions_.contains(answer.session)) return;
  tests_.candidate_answered(own_, {failed, answer.fp16_passed}, answer.w);
  if (!failed) return;
  if (!answer.session.empty()) failed_sessions_.insert(answer.session);
  ++faults_[answer.fault];
  if (!first_bad_at_) first_bad_at_ = answer.at;
}

void Trial::begin_step(std::uint64_t epoch) {
  if (own_.epoch == epoch) return;
  own_.epoch = epoch;
  own_.step_answers = 0;
}

void Trial::control_answered(const Answer& answer) {
  const bool failed = answer.fault != Fault::kNone;
  if (!failed) took(answer, false);
  if (!answer.session.empty() && failed_control_sessions_.contains(answer.session)) return;
  if (failed && !answer.session.empty()) failed_control_sessions_.insert(answer.session);
  tests_.control_answered(own_, failed, answer.w);
}

void Trial::took(const Answer& answer, bool of_candidate) {
  if (!answer.ms) return;
  if (const auto drawn = slow_.add(of_candidate, *answer.ms, answer.w, answer.at)) {
    tests_.slow_answer(own_, drawn->of_candidate, drawn->w);
  }
  own_.candidate_p99_ms = slow_.candidate_p99().value_or(0);
  own_.control_p99_ms = slow_.control_p99().value_or(0);
}

void Trial::shadow_compared(double disagreement, WallTime at) {
  tests_.shadow_compared(own_, disagreement);
  if (disagreement <= limits().max_disagreement) return;
  ++wrong_pairs_;
  if (!first_bad_at_) first_bad_at_ = at;
}

void Trial::hear(const std::string& id, const Evidence& evidence) {
  if (evidence.arm.size() != own_.arm.size() || evidence.ceiling.size() != own_.ceiling.size() ||
      evidence.shadow.size() != own_.shadow.size() || evidence.latency.size() != own_.latency.size()) {
    return;
  }
  if (peers_.size() >= kMostPeers && !peers_.contains(id)) return;
  peers_[id] = evidence;
}

Evidence Trial::combined() const {
  Evidence sum = own_;
  for (const auto& [id, evidence] : peers_) sum.add(evidence);
  return sum;
}

std::optional<Detector> Trial::decide() const {
  if (const auto detector = tests_.decide(peers_.empty() ? own_ : combined())) return detector;
  return exhausted_ ? std::optional(Detector::kRetryBudget) : std::nullopt;
}

Trip Trial::trip(Detector detected_by, std::uint64_t epoch, WallTime now) const {
  Trip trip;
  trip.digest = digest_;
  trip.epoch = epoch;
  trip.detected_by = detected_by;
  trip.evidence = combined();
  trip.bad_answers = trip.evidence.candidate_errors + wrong_pairs_;
  trip.at = now;
  trip.first_bad_at = first_bad_at_.value_or(now);
  const auto most = std::max_element(faults_.begin(), faults_.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  if (detected_by == Detector::kShadow) {
    trip.reason = "disagrees_with_fp16";
  } else if (detected_by == Detector::kLatency) {
    trip.reason = "slow";
  } else if (detected_by == Detector::kUnreachable) {
    trip.reason = "unreachable";
  } else {
    trip.reason = most == faults_.end() ? "failed_at_peers" : std::string(name(most->first));
  }
  return trip;
}

}  // namespace stepdown::gateway
