#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/kube/informer.h"
#include "operator/rollout/observed.h"

/// From objects as they stand on the wire to what a plan is made from. Pure; strange objects never throw.
namespace stepdown::controller {

using ObjectsByKind = std::map<std::string, std::vector<kube::ObjectPtr>, std::less<>>;

/// `pods`: of any Job; the one that ended last and belongs to this Job gives the summary. `events`: about
/// pods whose volumes cannot be mounted.
rollout::Job read_job(const nlohmann::json& job, const std::vector<kube::ObjectPtr>& pods,
                      const std::vector<kube::ObjectPtr>& events = {});
rollout::Deployment read_deployment(const nlohmann::json& deployment);

/// A LeaderWorkerSet, seen as one.
rollout::Deployment read_leader_worker_set(const nlohmann::json& set);

/// `objects`: those labelled with the model, and QuantRevisions of its namespace that it names.
rollout::Observed gather(api::QuantizedModel model, const ObjectsByKind& objects,
                         std::optional<api::EngineProfile> profile);

/// A cluster's node as the rules see it.
compat::Node read_node(const nlohmann::json& node);

/// What the others of the namespace do with claims, as it matters to the model of that name.
rollout::Elsewhere read_elsewhere(const std::string& name, const std::vector<kube::ObjectPtr>& others,
                                  api::Time now);

/// The QuantizedModel that an object of that kind belongs to or speaks about; nullopt when none.
std::optional<kube::ObjectKey> model_of(std::string_view kind, const nlohmann::json& object);

}  // namespace stepdown::controller
