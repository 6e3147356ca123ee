#pragma once

#include "operator/kube/object.h"

namespace stepdown::gateway {

inline const kube::GroupVersionResource kQuantizedModels{"stepdown.dev", "v1alpha1", "quantizedmodels"};

}  // namespace stepdown::gateway
