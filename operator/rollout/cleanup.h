#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "operator/rollout/observed.h"

namespace stepdown::rollout {

using ChildName = std::pair<std::string, std::string>;  ///< kind, name

/// Children that nothing needs: neither `wanted` nor an engine that the *observed* status routes to, so that
/// traffic leaves an engine before the engine goes. Claims and QuantRevisions stay until the model itself is
/// deleted.
std::vector<Child> superfluous(const Observed& observed, const std::set<ChildName>& wanted, api::Time now);

/// What failed and would fail a retry again, were it still there: failed Jobs, and engines of blocked
/// revisions that did not become ready in time. Those that are being deleted too.
std::vector<Child> failures(const Observed& observed);

/// All children of a model that is being deleted, but for pinned QuantRevisions and the claim that holds
/// their artifacts.
std::vector<Child> all_children(const Observed& observed);

}  // namespace stepdown::rollout
