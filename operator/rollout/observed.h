#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "operator/api/kinds.h"
#include "operator/api/time.h"
#include "operator/compat/hardware.h"

/// What the controller saw of one QuantizedModel and its children, and what never changes while it runs. All
/// that a plan is made from.
namespace stepdown::rollout {

struct Settings {
  std::string engine_image;
  std::string gateway_image;
  std::int64_t gateway_replicas = 1;
  bool leader_worker_sets = false;             ///< whether the cluster has them, and they may be made
  std::vector<std::string> pull_secrets = {};  ///< of the images, in each model's namespace
};

enum class JobState { kRunning, kSucceeded, kFailed };

struct Job {
  std::string name;
  std::string uid;
  JobState state = JobState::kRunning;
  std::string summary;     ///< termination message of its last finished pod
  std::string reason;      ///< of the Job's condition Failed
  std::string waiting;     ///< why its pod does not start, such as a volume that is missing
  bool may_start = false;  ///< by itself: it waits for a node
  bool pods_gone = false;  ///< no pod of it is left, as after its node was drained
  std::string setback;     ///< why its last pod failed, while another tries again
  std::optional<api::Time> finished_at;
};

/// "Job x cannot start: …"; empty unless it waits.
std::string wait_message(const Job& job);

/// A Deployment or LeaderWorkerSet.
struct Deployment {
  std::string name;
  std::string applied_hash;  ///< annotation stepdown.dev/applied-hash
  bool settled = false;  ///< its controller has seen this generation, and only pods of it run, all available
  bool deadline_exceeded = false;
  std::int64_t available = 0;
};

/// An object of the model, by its controller reference; a QuantRevision or claim by its labels.
struct Child {
  std::string kind;
  std::string name;
  std::string uid;
  bool deleting = false;
  bool pinned = false;  ///< label stepdown.dev/pinned=true

  bool operator==(const Child&) const = default;
};

/// What other models of the namespace do with claims; looked up for a model that has something to remove.
struct Elsewhere {
  std::set<std::string> digests;       ///< of artifacts that they hold or route to
  std::set<std::string> quantizes_on;  ///< claims to which their Jobs write now
  std::set<std::string> places = {};   ///< of copies of sources that their specs or statuses name
  std::set<std::string> leaving = {};  ///< claims that one before it, by name, gives up now: two at once
                                       ///< would each leave to the other what both used
};

/// The reason of one that is tried again.
inline constexpr const char* kChildFailed = "ChildFailed";

/// A child that the cluster does not take.
struct Obstacle {
  std::string reason;    ///< of the condition: NameTaken, ChildConflict, ChildRefused, kChildFailed
  std::string message;   ///< what stands in the way, and the way out
  bool passing = false;  ///< it may go by itself; otherwise a person has to act

  bool operator==(const Obstacle&) const = default;
};

struct Observed {
  api::QuantizedModel model;
  std::vector<Job> jobs;
  std::vector<Deployment> deployments;
  std::vector<api::QuantRevision>
      revisions;  ///< of its namespace: its own, and those that its spec or status names
  std::optional<api::EngineProfile> profile;       ///< that spec.serving.engine names
  std::optional<std::vector<compat::Node>> nodes;  ///< of the cluster, where they may be read
  std::vector<Child> children;
  Elsewhere elsewhere;
  bool namespace_ends = false;      ///< the API server refuses new objects in it
  std::vector<Obstacle> obstacles;  ///< met while the plan was carried out

  /// The first that stays until a person acts; null: none.
  const Obstacle* lasting_obstacle() const;

  const Job* job(const std::string& name) const;
  const Deployment* deployment(const std::string& name) const;
  const api::QuantRevision* revision(const std::string& name) const;
  const api::QuantRevision* revision_of(const std::string& digest) const;
};

}  // namespace stepdown::rollout
