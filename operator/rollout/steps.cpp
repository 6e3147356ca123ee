#include "operator/rollout/steps.h"

#include <algorithm>

#include "engine/base/hash.h"
#include "operator/rollout/names.h"

namespace stepdown::rollout {
namespace {

constexpr std::size_t kMostBlocked = 256;  // as the schema allows; the oldest go first

std::string short_name(const std::string& digest) {
  return names::digest12(digest);
}

/// One pass: what was decided before, and what becomes of it now.
class Machine {
 public:
  explicit Machine(const StepInput& input) : in_(input) {
    if (in_.status.rollout) out_.rollout = *in_.status.rollout;
    out_.blocked = in_.status.blocked;
    out_.paused = in_.status.paused;
  }

  StepOutcome run() {
    if (in_.base.empty()) {
      obey();
      return std::move(out_);
    }
    follow_base();
    heed_verdict();
    obey();
    pursue_target();
    out_.rollout.control_percent = out_.rollout.stable == in_.base ? 0 : in_.spec.control.percent;
    return std::move(out_);
  }

 private:
  api::RolloutStatus& rollout() { return out_.rollout; }

  bool is_blocked(const std::string& digest) const {
    return std::ranges::find(out_.blocked, digest, &api::Blocked::digest) != out_.blocked.end();
  }
  bool paused() const { return out_.paused.value_or(in_.spec.paused); }

  void move(const std::string& digest, std::int64_t weight) {
    rollout().digest = digest;
    rollout().weight = weight;
    ++rollout().epoch;
    // Rounded up: times are written in whole seconds, and no hold may end early.
    rollout().step_started_at = api::format_time(in_.now + std::chrono::milliseconds(999));
  }
  void make_stable(const std::string& digest) {
    rollout().stable = digest;
    rollout().step = 0;
    move("", 0);
  }

  /// At first FP16 gets all; another base makes all that was quantized before it stale.
  void follow_base() {
    const bool new_base = !in_.base_before.empty() && in_.base_before != in_.base;
    if (rollout().stable.empty() || new_base) make_stable(in_.base);
  }

  void block(const std::string& digest, const std::string& reason) {
    if (is_blocked(digest)) return;
    if (out_.blocked.size() >= kMostBlocked) out_.blocked.erase(out_.blocked.begin());
    out_.blocked.push_back({digest, reason, api::format_time(in_.now)});
  }

  /// Takes all traffic from `digest`, the candidate or stable.
  void roll_back(const std::string& digest, const std::string& reason, const std::string& message,
                 const std::string& detected_by) {
    block(digest, reason);
    api::Rollback record{.digest = digest,
                         .reason = reason,
                         .message = message,
                         .detected_by = detected_by,
                         .at = api::format_time(in_.now)};
    if (digest == rollout().digest) {
      record.weight = rollout().weight;
      rollout().step = 0;
      move("", 0);
    } else if (digest == rollout().stable) {
      record.weight = 100 - rollout().weight;
      rollout().stable = in_.base;
      move(rollout().digest, rollout().weight);
    } else {
      return;
    }
    out_.rollback = std::move(record);
  }

  /// A trip is remembered whatever the digest is now; the gateway has acted on it already.
  void heed_verdict() {
    const auto& verdict = in_.status.verdict;
    if (!verdict || verdict->state != "Tripped" || verdict->digest.empty()) return;
    if (verdict->digest == in_.base || verdict->epoch < rollout().retried_epoch) return;
    if (is_blocked(verdict->digest)) {
      // A crash may have kept the block but not the move.
      if (verdict->digest != rollout().digest && verdict->digest != rollout().stable) return;
    }
    std::string message = "the gateway sent all its traffic to FP16";
    if (verdict->bad_answers) message += " after " + std::to_string(*verdict->bad_answers) + " bad answers";
    roll_back(verdict->digest, verdict->reason.empty() ? "Tripped" : verdict->reason, message,
              verdict->detected_by);
    if (!out_.rollback) return block(verdict->digest, verdict->reason.empty() ? "Tripped" : verdict->reason);
    out_.rollback->bad_answers = verdict->bad_answers;
    out_.rollback->ms_trip_to_fp16 = verdict->ms_trip_to_fp16;
    out_.rollback->ms_since_first_bad = verdict->ms_since_first_bad;
  }

  /// Carries the command out, or says why not. A retry waits until what failed before is gone, a rollback
  /// until an FP16 that is loaded on demand answers.
  void obey() {
    if (!in_.command) return;
    const Command& command = *in_.command;
    if (command.verb == "retry" && !in_.failures_gone) return;
    if (command.verb == "rollback" && !is_candidate(command.digest) && !in_.fp16_serves) return;
    std::string refusal;
    if (command.verb == "pause" || command.verb == "resume") {
      pause(command.verb == "pause");
    } else if (command.verb == "retry") {
      refusal = retry(command.digest);
    } else if (command.verb == "rollback") {
      refusal = roll_back_by_command(command.digest);
    } else if (command.verb == "promote") {
      refusal = promote(command.digest);
    } else if (command.verb == "approve") {
      refusal = approve(command.digest);
    } else {
      refusal = "unknown verb: use promote, approve, rollback, retry, pause or resume";
    }
    out_.command = answer(command, in_.now, refusal);
  }

  bool is_candidate(const std::string& digest) const {
    return !out_.rollout.digest.empty() && (digest.empty() || digest == out_.rollout.digest);
  }

  void pause(bool wanted) {
    out_.paused = wanted;
    if (wanted == in_.spec.paused) out_.paused.reset();
  }

  std::string retry(const std::string& digest) {
    if (!digest.empty() && !is_blocked(digest)) return "that revision is not blocked";
    const auto cleared = std::erase_if(
        out_.blocked, [&](const api::Blocked& each) { return digest.empty() || each.digest == digest; });
    if (cleared > 0) rollout().retried_epoch = ++rollout().epoch;
    return "";
  }

  std::string roll_back_by_command(const std::string& digest) {
    const std::string& stable = rollout().stable;
    const bool at_stable =
        stable != in_.base && (digest == stable || (digest.empty() && rollout().digest.empty()));
    if (!is_candidate(digest) && !at_stable) return "that revision gets no traffic";
    roll_back(is_candidate(digest) ? rollout().digest : stable, "Command", "asked for by command", "command");
    return "";
  }

  std::string promote(const std::string& digest) {
    if (!is_candidate(digest)) return "that revision is not under rollout";
    if (!in_.stale.empty()) return in_.stale + ": it is measured again first";
    if (!in_.candidate_ready) return "its engine is not ready";
    make_stable(rollout().digest);
    return "";
  }

  std::string approve(const std::string& digest) {
    if (!is_candidate(digest) || rollout().weight == 0) return "that revision is at no step";
    if (!in_.stale.empty()) return in_.stale + ": it is measured again first";
    if (paused()) return "the rollout is paused: resume it first";
    if (!in_.spec.steps[step()].approval) return "this step needs no approval";
    if (std::string gate = closed_gate(); !gate.empty()) return gate;
    next_step();
    return "";
  }

  void pursue_target() {
    if (!in_.target.decided) {
      out_.position = Position::kUndecided;
      out_.message = rollout().digest.empty() ? ""
                                              : (in_.stale.empty() ? "the spec changed" : in_.stale) +
                                                    ": the canary stays at its weight meanwhile";
      return;
    }
    const std::string& target = in_.target.digest;
    if (target == in_.base) return return_to_fp16();
    if (is_blocked(target)) {
      out_.position = Position::kBlocked;
      if (!rollout().digest.empty()) move("", 0);
      if (rollout().stable == target) make_stable(in_.base);
      return;
    }
    if (target == rollout().stable) {
      if (!rollout().digest.empty()) move("", 0);
      out_.position = Position::kPromoted;
      return;
    }
    if (rollout().digest != target) start(target);
    if (rollout().weight == 0) return wait_for_engine();
    out_.position = Position::kStepping;
    step_on();
  }

  /// FP16 is always safe to return to, once it can carry the load.
  void return_to_fp16() {
    out_.position = Position::kServingFp16;
    if (!rollout().digest.empty()) move("", 0);
    if (rollout().stable == in_.base) return;
    if (in_.fp16_ready) return make_stable(in_.base);
    out_.message = "FP16 grows to the full load before it gets all traffic";
  }

  void start(const std::string& target) {
    move(target, 0);
    rollout().step = 0;
    rollout().salt = sha256_hex(in_.uid + "/" + target + "/" + std::to_string(rollout().epoch)).substr(0, 16);
  }

  void wait_for_engine() {
    out_.position = Position::kWaiting;
    if (in_.candidate_failed) {
      roll_back(rollout().digest, "EngineNotReady", "its engine did not become ready within its deadline",
                "readiness");
      out_.position = Position::kBlocked;
      return;
    }
    if (!in_.fp16_ready) {
      out_.message = "waits for the FP16 engine";
    } else if (in_.stable_lacks_room) {
      out_.message = "waits for all pods of the stable revision: they have their room first";
    } else if (!in_.candidate_ready) {
      out_.message = "waits for the engine of " + short_name(rollout().digest);
    } else if (paused()) {
      out_.message = "paused before the first step";
    } else {
      move(rollout().digest, in_.spec.steps.front().weight);
      rollout().step = 0;
      out_.position = Position::kStepping;
      step_on();
    }
  }

  /// The step that the weight stands for. Steps may have been edited since: then the heaviest that is not
  /// above the weight, else the first.
  std::size_t step() const {
    const auto& steps = in_.spec.steps;
    const auto at = static_cast<std::size_t>(std::max<std::int64_t>(0, out_.rollout.step));
    if (at < steps.size() && steps[at].weight == out_.rollout.weight) return at;
    std::size_t below = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (steps[i].weight <= out_.rollout.weight) below = i;
    }
    return below;
  }

  /// Why this step cannot be left yet, approval apart; empty when it can.
  std::string closed_gate() {
    const auto hold = api::parse_duration(in_.spec.steps[step()].hold).value_or(std::chrono::milliseconds(0));
    const auto started = api::parse_time(rollout().step_started_at).value_or(in_.now);
    if (const auto left = started + hold - in_.now; left > std::chrono::milliseconds(0)) {
      out_.look_again = left;
      return "holds until " + api::format_time(started + hold);
    }
    if (!in_.candidate_ready) return "waits for the engine of " + short_name(rollout().digest);
    const auto& verdict = in_.status.verdict;
    if (!verdict || verdict->digest != rollout().digest || verdict->epoch != rollout().epoch) {
      return "waits for the gateway to follow this step";
    }
    if (verdict->state != "Watching") return "the gateway tripped";
    if (api::is_false(in_.status.conditions, api::condition::kCanaryHealthy))
      return "the canary is not healthy";
    if (verdict->step_answers >= in_.spec.min_answers)
      return step() + 1 >= in_.spec.steps.size() ? in_.unchecked : "";
    return (verdict->step_answers == 0 ? "waits for traffic: " : "waits for more traffic: ") +
           std::to_string(in_.spec.min_answers) +
           " judged answers are needed at this step (or: kubectl stepdown promote)";
  }

  void next_step() {
    const std::size_t next = step() + 1;
    if (next >= in_.spec.steps.size()) return make_stable(rollout().digest);
    rollout().step = static_cast<std::int64_t>(next);
    move(rollout().digest, in_.spec.steps[next].weight);
  }

  void step_on() {
    const std::size_t at = step();
    if (in_.spec.steps[at].weight != rollout().weight) {  // the steps were edited
      rollout().step = static_cast<std::int64_t>(at);
      move(rollout().digest, in_.spec.steps[at].weight);
    }
    rollout().step = static_cast<std::int64_t>(at);
    const std::string gate = closed_gate();
    if (!gate.empty()) {
      out_.message = paused() ? "paused; " + gate : gate;
    } else if (paused()) {
      out_.message = "paused";
    } else if (in_.spec.steps[at].approval) {
      out_.message = "waits for approval: kubectl stepdown approve";
    } else {
      next_step();
      if (rollout().digest.empty()) {
        out_.position = Position::kPromoted;
        out_.message.clear();
      } else {
        out_.message = closed_gate();
      }
    }
  }

  const StepInput& in_;
  StepOutcome out_;
};

}  // namespace

StepOutcome advance(const StepInput& input) {
  return Machine(input).run();
}

}  // namespace stepdown::rollout
