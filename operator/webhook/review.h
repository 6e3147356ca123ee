#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "operator/api/kinds.h"

namespace stepdown::webhook {

/// An HTTP answer to an admission.k8s.io/v1 AdmissionReview.
struct Answer {
  int status = 200;
  std::string body;
};

/// The EngineProfile of that name, where it is known.
using Profiles = std::function<std::optional<api::EngineProfile>(const std::string& name)>;

/// Judges a QuantizedModel by operator/compat's rules: errors deny, warnings are shown to whoever applies it.
/// Pure. It judges the spec and facts already in hand: the profile, and what the object's own status says of
/// its model. What it never refuses: an object being deleted, a change that leaves the spec as it was, and
/// any kind but its own, so that an old object never becomes a trap. Answers 400 where the body is no
/// AdmissionReview.
Answer review(std::string_view body, const Profiles& profiles);

}  // namespace stepdown::webhook
