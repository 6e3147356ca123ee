#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/compat/finding.h"
#include "operator/compat/hardware.h"
#include "operator/compat/recommend/decision_table.h"
#include "operator/compat/subject.h"

namespace stepdown::compat {

/// Someone's model, hardware and load.
struct Wish {
  std::string name;       ///< of the QuantizedModel
  std::string source;     ///< as spec.model.source
  api::ModelFacts model;  ///< as its headers tell; digest only when known
  Device device;
  std::int64_t memory = 0;  ///< bytes of one accelerator or of the machine; 0: the device's
  std::int64_t context = 8192;
  std::int64_t concurrency = 4;
  std::vector<api::Adapter> adapters;
  std::string schema;  ///< JSON Schema of the answers; empty: none given
  std::string dataset = "pvc://prompts/heldout.jsonl";
  std::string calibration = "pvc://prompts/calibration.jsonl";
};

/// What is known of the cluster beside the built-in profiles.
struct Cluster {
  std::map<std::string, api::EngineProfile> profiles;  ///< by name
  std::optional<std::vector<Node>> nodes;
};

struct Recommendation {
  std::string_view platform;  ///< rows that decided
  std::string_view purpose;
  api::RawJson manifest;  ///< a QuantizedModel, its keys in the order people write them; empty: nothing fits
  api::ModelFacts facts;  ///< of the manifest's source: the wished model's, or of its conversion
  std::vector<std::string> reasons;  ///< a sentence each
  std::vector<Finding> findings;     ///< of judge() about the manifest: never an error
};

/// The best row's first stack that judge() has nothing against, with the smallest number of accelerators and
/// the best KV type that fit FP16 and the candidates. Pure.
Recommendation recommend(const Wish& wish, const Purpose& purpose, const Cluster& cluster = {});

}  // namespace stepdown::compat
