#pragma once

#include <functional>
#include <map>
#include <set>

#include "operator/rollout/children/common.h"
#include "operator/rollout/command.h"
#include "operator/rollout/plan.h"

/// A cluster in memory that carries plans out, plays the Job and Deployment controllers and the gateway, and
/// can stop after any number of writes, as a killed operator does.
namespace stepdown::rollout::testing {

inline std::string digest(char digit) {
  return "sha256:" + std::string(64, digit);
}

class Cluster {
 public:
  using ChildKey = std::pair<std::string, std::string>;

  Cluster();

  /// One pass of the operator; at most `writes` are carried out. True when it was cut short.
  bool reconcile(std::size_t writes = SIZE_MAX);

  /// Jobs end, pods start, the gateway follows.
  void world();

  /// Passes until nothing changes any more but by time.
  void settle_all(int passes = 40);
  void wait(std::chrono::seconds time);
  void until(const std::string& phase);

  /// To the promotion, while the operator is killed after so many writes of each pass.
  void promote_killed_after(std::size_t writes);
  /// Deletes the model; `gone` tells whether that came to an end.
  void remove();

  void trip(const std::string& which);
  void command(const std::string& verb, const std::string& which, const std::string& id);
  void edit(const std::function<void(api::QuantizedModelSpec&)>& change);

  std::int64_t weight() const { return model.status.rollout ? model.status.rollout->weight : -1; }
  bool has(const std::string& kind, const std::string& name) const { return objects.contains({kind, name}); }
  std::int64_t replicas(const std::string& deployment) const;
  std::string ready() const;

  Observed observe() const;

  void put(const ChildKey& key, const nlohmann::json& object) { objects[key] = object; }
  void drop(const ChildKey& key);

  api::QuantizedModel model;
  Settings settings{"engine:1", "gateway:1"};
  api::Time now = *api::parse_time("2026-01-01T00:00:00Z");
  std::string base = digest('b');
  std::string base_format = "gguf";
  std::map<std::string, std::pair<std::string, std::int64_t>> artifact;  ///< by preset, or method
  std::map<std::string, double> json_pass;                               ///< by digest
  std::map<std::string, std::string> job_failure;  ///< by program: inspect, quantize, evaluate
  std::map<ChildKey, nlohmann::json> objects;
  std::map<std::string, Job> jobs;
  std::map<std::string, Deployment> deployments;
  std::set<ChildKey> pinned;
  std::set<std::string> stuck;               ///< Deployments whose pods never start
  std::map<std::string, std::int64_t> room;  ///< for how many pods of a Deployment the nodes have some
  std::vector<api::QuantRevision> foreign;
  Elsewhere elsewhere;
  std::set<std::string> disk;  ///< artifacts on the claim, as 64 hex digits, and copies, as sources/<key>
  std::map<std::string, std::string>
      remote;                            ///< digest of what lies at a remote source; the base's unless given
  std::set<std::string> served_missing;  ///< Deployments that ran on an artifact which is not there
  std::string tokenizer = "sha256:t", chat_template = "sha256:c", dataset = "sha256:d",
              adapter = "sha256:l";  ///< as files are now
  std::string artifact_here;         ///< digest of the promoted revision's files; empty: as its record says
  std::optional<api::EngineProfile> profile;
  std::optional<std::vector<compat::Node>> nodes;
  int evaluations = 0;  ///< Jobs that ended
  bool gateway_follows = true;
  std::int64_t answers_a_step = 20;  ///< that the gateway has judged whenever one looks
  bool gone = false;
  int busy_passes = 0;
  Plan last;

  /// subPath of what a Job's or Deployment's container mounts there.
  static std::string mounted_at(const nlohmann::json& object, const char* path);

 private:
  Job finish(const nlohmann::json& object);
  static bool mounts(const nlohmann::json& object, const char* path);
  /// Of the files of the revision that the spec promotes.
  std::string promoted_digest() const;
  /// The artifact that a Job's or Deployment's container mounts as its model; empty: the base.
  static std::string mounted_artifact(const nlohmann::json& object);
  static bool adapted(const nlohmann::json& args) { return !value_of(args, "--adapter").empty(); }
  static std::string value_of(const nlohmann::json& args, const std::string& flag);
  void settle(const std::string& name, const nlohmann::json& object);
};

}  // namespace stepdown::rollout::testing
