#pragma once

#include <algorithm>
#include <iterator>
#include <set>

#include "operator/rollout/cleanup.h"
#include "operator/rollout/status.h"

/// One pass over one model, from its source to traffic: what it looks at, and what its steps add.
namespace stepdown::rollout {

struct Pass {
  const Observed& observed;
  const Settings& settings;
  api::Time now;

  Plan plan = {};
  Findings found = {};
  std::vector<api::QuantRevision> made = {};  ///< by this pass; the cluster does not have them yet
  std::set<ChildName> wanted = {};            ///< children that must not be removed

  const api::QuantizedModel& model() const { return observed.model; }
  bool follows_spec() const { return !compat::has_errors(found.rules); }

  void want(const nlohmann::json& object) {
    wanted.insert(
        {object.at("kind").get<std::string>(), object.at("metadata").at("name").get<std::string>()});
  }
  /// The spec cannot be followed now: what is there stays as it is.
  void keep_all() {
    for (const Child& child : observed.children) wanted.insert({child.kind, child.name});
  }
  void look_again(std::chrono::milliseconds delay) {
    plan.look_again = plan.look_again ? std::min(*plan.look_again, delay) : delay;
  }
};

template <class T>
void move_to(std::vector<T>& to, std::vector<T>& from) {
  std::ranges::move(from, std::back_inserter(to));
  from.clear();
}

/// Judges the spec, reads the base, tries candidates: fills `found` up to its target.
void find_target(Pass& pass);

/// Moves traffic towards the target, and wants the engines and the gateway that this takes.
void move_traffic(Pass& pass);

}  // namespace stepdown::rollout
