#pragma once

#include <span>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "operator/kube/object.h"

namespace stepdown::controller {

inline const kube::GroupVersionResource kQuantizedModels{"stepdown.dev", "v1alpha1", "quantizedmodels"};
inline const kube::GroupVersionResource kQuantRevisions{"stepdown.dev", "v1alpha1", "quantrevisions"};
inline const kube::GroupVersionResource kEngineProfiles{"stepdown.dev", "v1alpha1", "engineprofiles"};

/// A kind that the controller watches, and how much of each object it keeps in memory.
struct WatchedKind {
  std::string_view kind;
  kube::GroupVersionResource gvr;
  std::string_view label_selector;
  void (*trim)(nlohmann::json&);
  bool is_child;  ///< made, applied and removed by plans
};

std::span<const WatchedKind> watched_kinds();

/// Throws Error for a kind that is not watched.
const WatchedKind& watched_kind(std::string_view kind);

}  // namespace stepdown::controller
