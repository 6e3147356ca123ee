#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/kube/object.h"

namespace stepdown::controller {

inline const kube::GroupVersionResource kQuantizedModels{"stepdown.dev", "v1alpha1", "quantizedmodels"};
inline const kube::GroupVersionResource kQuantRevisions{"stepdown.dev", "v1alpha1", "quantrevisions"};
inline const kube::GroupVersionResource kEngineProfiles{"stepdown.dev", "v1alpha1", "engineprofiles"};

inline const kube::GroupVersionResource kLeaderWorkerSets{"leaderworkerset.x-k8s.io", "v1",
                                                          "leaderworkersets"};

/// A kind that the controller watches, and how much of each object it keeps in memory.
struct WatchedKind {
  std::string_view kind;
  kube::GroupVersionResource gvr;
  std::string_view label_selector;
  std::string_view field_selector;
  void (*trim)(nlohmann::json&);
  bool is_child;            ///< made, applied and removed by plans
  bool of_cluster = false;  ///< rather than of a namespace
};

std::span<const WatchedKind> watched_kinds();

/// What an Event is about.
kube::ObjectKey subject_of(const nlohmann::json& event);

/// Words of the cache's index: a child is found by its model, a QuantRevision by its artifact's digest and
/// its report too, a QuantizedModel by its namespace.
namespace index {
inline constexpr const char* kJudgedByNodes = "nodes";  ///< models whose findings depend on them
std::string of_model(const kube::ObjectKey& model);
std::string of_artifact(const std::string& ns, const std::string& digest_or_uri);
std::string of_namespace(const std::string& ns);
std::string of_pod(const kube::ObjectKey& pod);  ///< Events about it
std::string of_named(std::string_view kind, const kube::ObjectKey& named);
std::vector<std::string> words(std::string_view kind, const nlohmann::json& object);
}  // namespace index

/// The bundled engine without a word about hardware runs on any node.
bool judged_by_nodes(const nlohmann::json& model);

/// Throws Error for a kind that is not watched.
const WatchedKind& watched_kind(std::string_view kind);

}  // namespace stepdown::controller
