#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/kinds.h"
#include "operator/compat/hardware.h"
#include "operator/compat/matrix.h"

namespace stepdown::compat {

/// Facts beside the spec, each absent until it is known.
struct Inventory {
  std::optional<api::ModelFacts> model;             ///< what the inspect Job read
  std::optional<api::EngineProfile> profile;        ///< the cluster's, that spec.serving.engine names
  std::optional<api::QuantRevision> from_revision;  ///< that spec.quantization.fromRevision names
  std::optional<std::vector<Node>> nodes;           ///< all of the cluster, or of an inventory file
  std::optional<api::Metrics> baseline;             ///< what FP16 itself scored
  std::optional<api::ModelFacts> artifact;          ///< that revision's files as they are here
  std::string bundled_version;                      ///< of the bundled engine; empty: not known
};

/// A weight format that the spec would have an engine load, and the field that asks for it.
struct AskedFormat {
  std::string format;
  std::string path;
  std::string name;             ///< as messages call it: "awq/4", "the base"
  std::int64_t bits = 0;        ///< a weight; 0: not known
  std::int64_t group_size = 0;  ///< weights that share a scale; 0: not of such a format, or a whole channel
};

/// All that a rule may look at.
struct Subject {
  const api::QuantizedModelSpec& spec;  ///< with the built-in candidates where it names none
  const Inventory& inventory;
  EngineSupport engine;
  std::vector<Node> nodes;  ///< those that the pods may land on, of the known ones
  std::vector<std::string>
      hardware;  ///< classes, or a group where no more is known; empty: unknown accelerator
  std::vector<AskedFormat> formats;

  Subject(const api::QuantizedModelSpec& spec, const Inventory& inventory);

  /// The classes, or one that is not known.
  std::vector<std::string> classes() const {
    return hardware.empty() ? std::vector<std::string>{""} : hardware;
  }
  bool bundled_engine() const { return spec.serving.engine == "stepdown"; }
  std::string_view architecture() const {
    return inventory.model ? std::string_view(inventory.model->architecture) : std::string_view{};
  }
};

/// "spec.quantization.candidates[1]".
std::string element(const char* list, std::size_t index);

}  // namespace stepdown::compat
