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

  Cluster() {
    model.metadata = {.name = "m", .ns = "ns", .uid = "uid-m", .generation = 1};
    model.spec.model.source = "file:///models/base";
    model.spec.evaluation.dataset = "file:///data/eval.jsonl";
    model.spec.evaluation.suites = {{R"({"type":"jsonSchema"})"}};
    model.spec.evaluation.slo["jsonPass"].min = 0.9;
    model.spec.quantization.candidates = {{"gguf", "Q8_0", {}, {}}, {"gguf", "Q4_K_M", {}, {}}};
    model.spec.rollout.steps = {{5, "10s"}, {50, "10s"}, {100, "10s"}};
    artifact["Q8_0"] = {digest('8'), 500};
    artifact["Q4_K_M"] = {digest('4'), 300};
    json_pass[base] = 0.99;
    json_pass[digest('8')] = 0.98;
    json_pass[digest('4')] = 0.95;
  }

  /// One pass of the operator; at most `writes` are carried out. True when it was cut short.
  bool reconcile(std::size_t writes = SIZE_MAX) {
    last = make_plan(observe(), settings, now);
    std::size_t done = 0;
    const auto write = [&](const std::function<void()>& act) {
      if (done >= writes) return false;
      act();
      ++done;
      return true;
    };
    if (last.finalizers && !write([&] { model.metadata.finalizers = *last.finalizers; })) return true;
    if (model.metadata.deleting && model.metadata.finalizers.empty()) gone = true;
    for (const auto* list : {&last.apply, &last.create}) {
      for (const nlohmann::json& object : *list) {
        const ChildKey key{object.at("kind"), object.at("metadata").at("name")};
        if (list == &last.apply && objects.contains(key) && objects[key] == object) continue;
        if (!write([&] { put(key, object); })) return true;
      }
    }
    if (!(last.status == model.status) && !write([&] { model.status = last.status; })) return true;
    for (const Child& child : last.remove) {
      if (!write([&] { drop({child.kind, child.name}); })) return true;
    }
    if (done > 0) ++busy_passes;
    return false;
  }

  /// Jobs end, pods start, the gateway follows.
  void world() {
    for (auto& [key, object] : objects) {
      if (key.first == "Job" && !jobs.contains(key.second) && !stuck.contains(key.second))
        jobs[key.second] = finish(object);
      if (key.first == "Deployment") settle(key.second, object);
    }
    if (gateway_follows && model.status.rollout) {
      const auto& rollout = *model.status.rollout;
      if (!model.status.verdict || model.status.verdict->state != "Tripped" ||
          model.status.verdict->digest != rollout.digest) {
        model.status.verdict = api::Verdict{.digest = rollout.digest,
                                            .epoch = rollout.epoch,
                                            .state = "Watching",
                                            .step_answers = answers_a_step};
      } else {
        model.status.verdict->epoch = rollout.epoch;
      }
    }
  }

  /// Passes until nothing changes any more but by time.
  void settle_all(int passes = 40) {
    int idle = 0;
    for (int i = 0; i < passes && idle < 2; ++i) {
      const int before = busy_passes;
      reconcile();
      world();
      idle = busy_passes == before ? idle + 1 : 0;
    }
  }
  void wait(std::chrono::seconds time) {
    now += time;
    settle_all();
  }
  void until(const std::string& phase) {
    for (int i = 0; i < 60 && model.status.phase != phase; ++i) {
      settle_all(6);
      if (model.status.phase != phase) now += std::chrono::seconds(5);
    }
  }

  /// To the promotion, while the operator is killed after so many writes of each pass.
  void promote_killed_after(std::size_t writes) {
    for (int i = 0; i < 400 && model.status.phase != "Promoted"; ++i) {
      if (reconcile(writes)) reconcile(writes);
      world();
      now += std::chrono::seconds(1);
    }
    settle_all();
  }
  /// Deletes the model; `gone` tells whether that came to an end.
  void remove() {
    model.metadata.deleting = true;
    for (int i = 0; i < 50 && !gone; ++i) {
      reconcile();
      world();
    }
  }

  void trip(const std::string& which) {
    model.status.verdict = api::Verdict{.digest = which,
                                        .epoch = model.status.rollout->epoch,
                                        .state = "Tripped",
                                        .reason = "ErrorRate",
                                        .detected_by = "ceiling",
                                        .bad_answers = 6};
    api::set_condition(model.status.conditions, {"CanaryHealthy", "False", "ErrorRate", "", "", 0}, "t");
  }
  void command(const std::string& verb, const std::string& which, const std::string& id) {
    model.metadata.annotations[kCommandAnnotation] = verb + "/" + which + "/" + id;
  }
  void edit(const std::function<void(api::QuantizedModelSpec&)>& change) {
    change(model.spec);
    ++model.metadata.generation;
  }

  std::int64_t weight() const { return model.status.rollout ? model.status.rollout->weight : -1; }
  bool has(const std::string& kind, const std::string& name) const { return objects.contains({kind, name}); }
  std::int64_t replicas(const std::string& deployment) const {
    return objects.at({"Deployment", deployment}).at("spec").at("replicas").get<std::int64_t>();
  }
  std::string ready() const {
    const api::Condition* found = api::find_condition(model.status.conditions, "Ready");
    return found == nullptr ? "" : found->status + " " + found->reason;
  }

  Observed observe() const {
    Observed seen{.model = model};
    seen.profile = profile;
    seen.nodes = nodes;
    for (const auto& [name, job] : jobs) seen.jobs.push_back(job);
    for (const auto& [name, deployment] : deployments) seen.deployments.push_back(deployment);
    for (const auto& [key, object] : objects) {
      seen.children.push_back({key.first, key.second, "uid-" + key.second, false, pinned.contains(key)});
      if (key.first == "QuantRevision") {
        seen.revisions.push_back(api::parse_quant_revision(object, api::UnknownFields::kRefuse));
      }
      if (key.first == "Job" && !jobs.contains(key.second))
        seen.jobs.push_back({.name = key.second, .uid = "u"});
    }
    for (const auto& revision : foreign) seen.revisions.push_back(revision);
    seen.elsewhere = elsewhere;
    return seen;
  }

  void put(const ChildKey& key, const nlohmann::json& object) { objects[key] = object; }
  void drop(const ChildKey& key) {
    objects.erase(key);
    jobs.erase(key.second);
    if (key.first == "Deployment") deployments.erase(key.second);
  }

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
  static std::string mounted_at(const nlohmann::json& object, const char* path) {
    const auto& pod = object.at("spec").at("template").at("spec");
    const auto& container = pod.at("containers").at(0);
    for (const auto& mount : container.value("volumeMounts", nlohmann::json::array())) {
      if (mount.at("mountPath") == path && mount.contains("subPath")) return mount.at("subPath");
    }
    return "";
  }

 private:
  Job finish(const nlohmann::json& object) {
    const auto& container = object.at("spec").at("template").at("spec").at("containers").at(0);
    const auto& args = container.at("args");
    const std::string program = args.at(0);
    Job job{.name = object.at("metadata").at("name"),
            .uid = "u",
            .state = JobState::kSucceeded,
            .finished_at = now};
    if (job_failure.contains(program)) {
      job.state = JobState::kFailed;
      job.summary = job_failure.at(program);
      return job;
    }
    nlohmann::json summary;
    if (program == "fetch") {
      const std::string source = value_of(args, "--source"), pin = value_of(args, "--digest");
      const std::string out = value_of(args, "--out");
      if (const std::string found = remote.contains(source) ? remote.at(source) : base;
          !pin.empty() && pin != found) {
        job.state = JobState::kFailed;
        job.summary = source + ": what was fetched has digest " + found + ", not " + pin;
        return job;
      }
      disk.insert(out.substr(std::string("/artifacts/").size()));
      summary = {{"path", source.ends_with(".jsonl") ? out + "/eval.jsonl" : out},
                 {"resolved", source + "@c0ffee"},
                 {"size", 1000}};
    } else if (program == "artifacts") {
      for (std::size_t i = 0; i + 1 < args.size(); ++i) {
        if (args[i] == "--remove") disk.erase(args[i + 1].get<std::string>().substr(0, 64));
      }
      summary = {{"removed", 1}};
    } else if (program == "inspect") {
      summary = {{"digest", mounts(object, "/models/artifact") ? promoted_digest() : base},
                 {"tokenizerDigest", tokenizer},
                 {"templateDigest", chat_template},
                 {"datasetDigest", mounts(object, "/data/evaluation") ? dataset : ""},
                 {"format", base_format},
                 {"size", 1000},
                 {"config", {{"contextLength", 4096}}},
                 {"memory", {{"weights", 1000}, {"kvPerToken", 2}, {"activations", 10}}}};
      if (adapted(args)) summary["adapters"] = {adapter};
    } else if (program == "quantize") {
      const std::string preset = value_of(args, "--preset");
      const auto& [made, size] = artifact.at(preset.empty() ? value_of(args, "--method") : preset);
      disk.insert(made.substr(made.find(':') + 1));
      summary = {{"digest", made},
                 {"path", "/artifacts/" + made.substr(7) + "/model.gguf"},
                 {"size", size},
                 {"bits", 4.5},
                 {"toolVersion", "1"}};
      if (adapted(args)) summary["adapters"] = {{{"digest", adapter}, {"weight", 1}}};
    } else {
      const std::string artifact = mounted_artifact(object);
      const std::string measured = artifact.empty() ? base : "sha256:" + artifact;
      summary = {
          {"metrics",
           {{"jsonPass", {{"value", json_pass.at(measured)}, {"baseline", json_pass.at(base)}, {"n", 100}}}}},
          {"setting", {{"dataset", dataset}}}};
      ++evaluations;
    }
    job.summary = summary.dump();
    return job;
  }
  static bool mounts(const nlohmann::json& object, const char* path) {
    const auto& container = object.at("spec").at("template").at("spec").at("containers").at(0);
    return std::ranges::any_of(container.at("volumeMounts"),
                               [&](const auto& mount) { return mount.at("mountPath") == path; });
  }
  /// Of the files of the revision that the spec promotes.
  std::string promoted_digest() const {
    if (!artifact_here.empty()) return artifact_here;
    for (const api::QuantRevision& each : foreign) {
      if (each.metadata.name == model.spec.quantization.from_revision) return each.spec.artifact.digest;
    }
    return "";
  }
  /// The artifact that a Job's or Deployment's container mounts as its model; empty: the base.
  static std::string mounted_artifact(const nlohmann::json& object) {
    return mounted_at(object, "/models/artifact").substr(0, 64);
  }
  static bool adapted(const nlohmann::json& args) { return !value_of(args, "--adapter").empty(); }
  static std::string value_of(const nlohmann::json& args, const std::string& flag) {
    for (std::size_t i = 0; i + 1 < args.size(); ++i) {
      if (args[i] == flag) return args[i + 1];
    }
    return "";
  }
  void settle(const std::string& name, const nlohmann::json& object) {
    Deployment& deployment = deployments[name];
    if (const std::string model = mounted_artifact(object); !model.empty() && !disk.contains(model)) {
      served_missing.insert(name);
    }
    if (const std::string copy = mounted_at(object, "/models/base");
        copy.starts_with("sources/") && !disk.contains(copy)) {
      served_missing.insert(name);
    }
    deployment.name = name;
    deployment.applied_hash = object.at("metadata").at("annotations").at(children::kAppliedHash);
    const auto replicas = object.at("spec").at("replicas").get<std::int64_t>();
    const auto most = stuck.contains(name) ? 0 : room.contains(name) ? room.at(name) : replicas;
    deployment.available = std::min(replicas, most);
    deployment.settled = !stuck.contains(name) && deployment.available == replicas;
  }
};

}  // namespace stepdown::rollout::testing
