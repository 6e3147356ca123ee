#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "operator/api/kinds.h"
#include "operator/rollout/observed.h"

/// Parts that the children share. Builders are pure and give whole objects.
namespace stepdown::rollout::children {

inline constexpr const char* kAppliedHash = "stepdown.dev/applied-hash";
inline constexpr const char* kModelLabel = "stepdown.dev/model";
inline constexpr const char* kRevisionLabel = "stepdown.dev/revision";
inline constexpr const char* kPinnedLabel = "stepdown.dev/pinned";

/// `part`: engine, gateway or job.
nlohmann::json labels(const api::QuantizedModel& model, const std::string& part);

enum class Owned { kYes, kNo };
nlohmann::json object(const std::string& api_version, const std::string& kind,
                      const api::QuantizedModel& model, const std::string& name, const std::string& part,
                      Owned owned = Owned::kYes);

/// Adds the annotation applied-hash, of all the rest of the object.
nlohmann::json stamped(nlohmann::json object);

/// A pod's volumes and a container's mounts, filled together.
struct Mounts {
  explicit Mounts(const api::QuantizedModel& of) : model(of) {}

  const api::QuantizedModel& model;
  nlohmann::json volumes = nlohmann::json::array();
  nlohmann::json mounts = nlohmann::json::array();

  /// spec.model.source, at /models/base.
  void add_base(const std::string& name);
  /// `source`: file:///path or pvc://claim/path, or what was fetched to a place that the model's status
  /// tells.
  void add_source(const std::string& name, const std::string& source, const std::string& path);
  void add_claim(const std::string& name, const std::string& claim, const std::string& path, bool read_only);
  void add_scratch(const std::string& name, const std::string& path, bool read_only = false);
  void add_secret(const std::string& name, const std::string& secret, const std::string& path);

 private:
  /// The volume of the claim, `name` where there is none yet: a kubelet never starts a pod that has two
  /// volumes of one claim.
  std::string volume_of_claim(const std::string& name, const std::string& claim);
};

/// Mounts spec.model.adapters and appends the arguments that merge them into the base.
void add_adapters(Mounts& mounts, nlohmann::json& args, const api::QuantizedModel& model,
                  const char* flag = "--adapter");

/// Of a pod that clients reach by its own address: it serves on for kLingerSeconds after its end began, of
/// which proxies and gateways hear late, and then ends what is under way within kDrainSeconds.
inline constexpr std::int64_t kLingerSeconds = 5, kDrainSeconds = 60;
nlohmann::json lingering();  ///< its container's lifecycle
nlohmann::json pod_security();
nlohmann::json container_security();

/// spec.serving.resources, with `memory` bytes requested where the spec asks for none, and a pod's share of
/// the accelerators.
nlohmann::json resources(const api::ServingSpec& serving, std::int64_t memory);
/// Nodes that a replica spans; beyond one it is a LeaderWorkerSet.
std::int64_t nodes(const api::ServingSpec& serving);
/// "Deployment" or "LeaderWorkerSet".
const char* workload_kind(const api::ServingSpec& serving);

/// Threads that the CPU limit (or request) stands for; 0: the engine's own choice.
std::int64_t threads(const api::ServingSpec& serving);
/// Where the pod may run, as spec.serving.hardware says.
void place(nlohmann::json& pod_spec, const api::ServingSpec& serving);
/// What its images are pulled with.
void add_pull_secrets(nlohmann::json& pod_spec, const Settings& settings);
/// Evicts one pod of the model's engines, or gateways, at a time, and none while another is not ready; one
/// that is not ready itself holds nobody up.
nlohmann::json disruption_budget(const api::QuantizedModel& model, const std::string& name,
                                 const std::string& part);

}  // namespace stepdown::rollout::children
