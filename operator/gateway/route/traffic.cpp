#include "operator/gateway/route/traffic.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/gateway/judge/member.h"

namespace stepdown::gateway {

using nlohmann::json;

namespace {

constexpr std::chrono::seconds kPeerWordHolds{5};
constexpr std::chrono::seconds kAwaitsFp16{1};  ///< a trip is told then, whether or not a request came

}  // namespace

Traffic::Traffic(std::string instance, Reach reach)
    : instance_(std::move(instance)), reach_(std::move(reach)) {}

Split Traffic::split() const {
  const std::string fp16 = rollout_.fp16();
  return split_traffic(rollout_, [&](const std::string& digest) {
    return reach_(digest) == Reachable::kYes && (digest == fp16 || trips_.routable(rollout_, digest));
  });
}

Traffic::Assignment Traffic::assign(const std::string& id, const std::string& session, WallTime now) {
  const Split split = this->split();
  Assignment assignment;
  assignment.arm = choose(split, routing_point(rollout_.salt, session.empty() ? id : session));
  assignment.digest = split.digest(assignment.arm);
  assignment.session = session;
  for (const Arm arm : {Arm::kCandidate, Arm::kStable}) {
    if (split.of(arm) <= 0) continue;
    if (assignment.arm != arm && assignment.arm != Arm::kFp16) continue;
    assignment.stakes.push_back({split.digest(arm), split.against_control(arm)});
  }
  for (const std::string& digest : awaiting_fp16_) {
    trips_.set_fp16_at(digest, now);
    ++changes_;
  }
  awaiting_fp16_.clear();
  return assignment;
}

void Traffic::answered(const Assignment& assignment, const Outcome& outcome, WallTime now) {
  for (const Assignment::Stake& stake : assignment.stakes) {
    const auto found = trials_.find(stake.digest);
    if (found == trials_.end()) continue;
    const Trial::Answer answer{outcome.fault, outcome.fp16_passed, stake.w, assignment.session,
                               now,           outcome.ms};
    if (stake.digest == assignment.digest) {
      found->second.answered(answer);
    } else {
      found->second.control_answered(answer);
    }
    look(stake.digest, now);
  }
}

void Traffic::shadow_compared(const std::string& digest, double disagreement, WallTime now) {
  const auto found = trials_.find(digest);
  if (found == trials_.end()) return;
  found->second.shadow_compared(disagreement, now);
  look(digest, now);
}

void Traffic::fp16_missed(WallTime now) {
  constexpr std::chrono::minutes kTellAgain{1};
  if (fp16_missed_at_ && now - *fp16_missed_at_ < kTellAgain) return;
  fp16_missed_at_ = now;
  ++changes_;
}

void Traffic::look_around(WallTime now) {
  std::erase_if(unreachable_since_, [&](const auto& entry) { return !trials_.contains(entry.first); });
  for (const auto& [digest, trial] : trials_) {
    const auto peer = reached_by_peer_.find(digest);
    const bool by_peer = peer != reached_by_peer_.end() && now - peer->second < kPeerWordHolds;
    if (reach_(digest) != Reachable::kNo || by_peer) {
      unreachable_since_.erase(digest);
      continue;
    }
    const WallTime since = unreachable_since_.try_emplace(digest, now).first->second;
    const bool fault_of_both = reach_(rollout_.fp16()) != Reachable::kYes;
    if (digest == rollout_.candidate && rollout_.weight > 0 && !fault_of_both &&
        now - since >= kUnreachableFor) {
      trip(digest, Detector::kUnreachable, now);
    }
  }
}

std::optional<WallTime> Traffic::unreachable_since(const std::string& digest) const {
  const auto found = unreachable_since_.find(digest);
  return found == unreachable_since_.end() ? std::nullopt : std::optional(found->second);
}

void Traffic::follow(const Rollout& rollout, WallTime now) {
  rollout_ = rollout;
  for (const std::string& digest : trips_.clear_retried(rollout_)) {
    log::info("a tripped revision is tried again", {{"digest", digest}, {"epoch", rollout.epoch}});
    trials_.erase(digest);
    ++changes_;
  }
  const std::string fp16 = rollout_.fp16();
  std::erase_if(trials_, [&](const auto& entry) {
    return entry.first != rollout_.candidate && entry.first != rollout_.stable;
  });
  for (const std::string& digest : {rollout_.candidate, rollout_.stable}) {
    if (digest.empty() || digest == fp16) continue;
    watch(digest).begin_step(rollout_.epoch);
    look(digest, now);
  }
}

Trial& Traffic::watch(const std::string& digest) {
  const auto found = trials_.find(digest);
  // Evidence holds against the limits it was gathered for.
  if (found != trials_.end() && found->second.limits() == rollout_.limits) return found->second;
  trials_.erase(digest);
  return trials_.emplace(digest, Trial(digest, rollout_.limits)).first->second;
}

void Traffic::remember(const std::vector<Trip>& trips) {
  trips_.set_known();
  for (const Trip& trip : trips) {
    if (trips_.add(trip, rollout_)) ++changes_;
  }
}

void Traffic::look(const std::string& digest, WallTime now) {
  const auto found = trials_.find(digest);
  if (found == trials_.end() || trips_.find(digest) != nullptr) return;
  if (const auto detector = found->second.decide()) trip(digest, *detector, now);
}

void Traffic::trip(const std::string& digest, Detector detected_by, WallTime now) {
  const auto found = trials_.find(digest);
  if (found == trials_.end() || trips_.find(digest) != nullptr) return;
  const Trip trip = found->second.trip(detected_by, rollout_.epoch, now);
  trips_.add(trip, rollout_);
  awaiting_fp16_.push_back(digest);
  ++changes_;
  log::warn("tripped: all its traffic goes to FP16", {{"digest", digest},
                                                      {"detectedBy", name(detected_by)},
                                                      {"reason", trip.reason},
                                                      {"badAnswers", trip.bad_answers}});
}

json Traffic::message() const {
  json evidence = json::object();
  json reached = json::array();
  for (const auto& [digest, trial] : trials_) {
    if (trips_.find(digest) == nullptr) evidence[digest] = to_json(trial.own());
    if (reach_(digest) == Reachable::kYes) reached.push_back(digest);
  }
  json message = {{"instance", instance_},
                  {"trips", to_json(trips_)},
                  {"evidence", std::move(evidence)},
                  {"reached", std::move(reached)}};
  if (fp16_missed_at_) message["fp16MissedAtMs"] = to_ms(*fp16_missed_at_);
  return message;
}

void Traffic::hear(const json& message, WallTime now) {
  if (!message.is_object() || !message.contains("instance") || !message["instance"].is_string()) return;
  const std::string from = message["instance"].get<std::string>();
  if (from == instance_) return;
  const std::vector<Trip> trips = trips_from_json(message.value("trips", json()));
  remember(trips);
  for (const Trip& trip : trips) await_fp16(trip.digest, now);
  if (const json& missed = member(message, "fp16MissedAtMs"); missed.is_number_integer()) {
    const WallTime at = std::min(from_ms(missed.get<std::int64_t>()), now);
    if (!fp16_missed_at_ || *fp16_missed_at_ < at) fp16_missed_at_ = at;
  }
  if (const json& reached = member(message, "reached"); reached.is_array()) {
    for (const json& digest : reached) {
      if (digest.is_string() && trials_.contains(digest)) reached_by_peer_[digest.get<std::string>()] = now;
    }
  }
  const auto evidence = message.find("evidence");
  if (evidence == message.end() || !evidence->is_object()) return;
  for (const auto& [digest, value] : evidence->items()) {
    const auto found = trials_.find(digest);
    if (found == trials_.end()) continue;
    if (const auto read = evidence_from_json(value)) found->second.hear(from, *read);
    look(digest, now);
  }
}

const Trial* Traffic::trial(const std::string& digest) const {
  const auto found = trials_.find(digest);
  return found == trials_.end() ? nullptr : &found->second;
}

std::string Traffic::subject() const {
  std::string stable = rollout_.stable == rollout_.fp16() ? std::string() : rollout_.stable;
  const bool only_stable_tripped =
      !stable.empty() && trips_.find(stable) != nullptr && trips_.find(rollout_.candidate) == nullptr;
  if (!rollout_.candidate.empty() && !only_stable_tripped) return rollout_.candidate;
  if (!stable.empty()) return stable;
  const Trip* last = nullptr;  // the operator has cleaned up after it; what is known of it may still grow
  for (const auto& [digest, trip] : trips_.all()) {
    if (last == nullptr || trip.at > last->at) last = &trip;
  }
  return last == nullptr ? std::string() : last->digest;
}

/// A peer that told of the trip at once would tell nothing of what new traffic did.
void Traffic::await_fp16(const std::string& digest, WallTime now) {
  const Trip* trip = trips_.find(digest);
  if (trip == nullptr || trip->fp16_at || now - trip->at >= kAwaitsFp16) return;
  if (std::ranges::count(awaiting_fp16_, digest) == 0) awaiting_fp16_.push_back(digest);
}

bool Traffic::awaits_fp16(WallTime now) const {
  return std::ranges::any_of(awaiting_fp16_, [&](const std::string& digest) {
    const Trip* trip = trips_.find(digest);
    return trip != nullptr && !trip->fp16_at && now - trip->at < kAwaitsFp16;
  });
}

}  // namespace stepdown::gateway
