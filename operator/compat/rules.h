#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/api/kinds.h"

namespace stepdown::compat {

enum class Severity { kWarning, kError };

/// What a rule says about a spec: never shown without the way out.
struct Finding {
  std::string id;  ///< SD###, stable across versions
  Severity severity = Severity::kError;
  std::string path;
  std::string message;
  std::string mend;
};

/// Facts beside the spec, each absent until it is known.
struct Inventory {
  std::optional<api::ModelFacts> model;             ///< what the inspect Job read
  std::optional<api::EngineProfile> profile;        ///< that spec.serving.engine names
  std::optional<api::QuantRevision> from_revision;  ///< that spec.quantization.fromRevision names
};

/// All that the rules find, in the order of their ids. Pure; rules that need an absent fact are silent.
std::vector<Finding> judge(const api::QuantizedModelSpec& spec, const Inventory& inventory);

bool has_errors(const std::vector<Finding>& findings);

}  // namespace stepdown::compat
