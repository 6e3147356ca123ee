#include "tests/unit/operator/rollout/cluster.h"

#include <algorithm>

namespace stepdown::rollout::testing {

Cluster::Cluster() {
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

bool Cluster::reconcile(std::size_t writes) {
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

void Cluster::world() {
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

void Cluster::settle_all(int passes) {
  int idle = 0;
  for (int i = 0; i < passes && idle < 2; ++i) {
    const int before = busy_passes;
    reconcile();
    world();
    idle = busy_passes == before ? idle + 1 : 0;
  }
}

void Cluster::wait(std::chrono::seconds time) {
  now += time;
  settle_all();
}

void Cluster::until(const std::string& phase) {
  for (int i = 0; i < 60 && model.status.phase != phase; ++i) {
    settle_all(6);
    if (model.status.phase != phase) now += std::chrono::seconds(5);
  }
}

void Cluster::promote_killed_after(std::size_t writes) {
  for (int i = 0; i < 400 && model.status.phase != "Promoted"; ++i) {
    if (reconcile(writes)) reconcile(writes);
    world();
    now += std::chrono::seconds(1);
  }
  settle_all();
}

void Cluster::remove() {
  model.metadata.deleting = true;
  for (int i = 0; i < 50 && !gone; ++i) {
    reconcile();
    world();
  }
}

void Cluster::trip(const std::string& which) {
  model.status.verdict = api::Verdict{.digest = which,
                                      .epoch = model.status.rollout->epoch,
                                      .state = "Tripped",
                                      .reason = "ErrorRate",
                                      .detected_by = "ceiling",
                                      .bad_answers = 6};
  api::set_condition(model.status.conditions, {"CanaryHealthy", "False", "ErrorRate", "", "", 0}, "t");
}

void Cluster::command(const std::string& verb, const std::string& which, const std::string& id) {
  model.metadata.annotations[kCommandAnnotation] = verb + "/" + which + "/" + id;
}

void Cluster::edit(const std::function<void(api::QuantizedModelSpec&)>& change) {
  change(model.spec);
  ++model.metadata.generation;
}

std::int64_t Cluster::replicas(const std::string& deployment) const {
  return objects.at({"Deployment", deployment}).at("spec").at("replicas").get<std::int64_t>();
}

std::string Cluster::ready() const {
  const api::Condition* found = api::find_condition(model.status.conditions, "Ready");
  return found == nullptr ? "" : found->status + " " + found->reason;
}

Observed Cluster::observe() const {
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

void Cluster::drop(const ChildKey& key) {
  objects.erase(key);
  jobs.erase(key.second);
  if (key.first == "Deployment") deployments.erase(key.second);
}

std::string Cluster::mounted_at(const nlohmann::json& object, const char* path) {
  const auto& pod = object.at("spec").at("template").at("spec");
  const auto& container = pod.at("containers").at(0);
  for (const auto& mount : container.value("volumeMounts", nlohmann::json::array())) {
    if (mount.at("mountPath") == path && mount.contains("subPath")) return mount.at("subPath");
  }
  return "";
}

Job Cluster::finish(const nlohmann::json& object) {
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

bool Cluster::mounts(const nlohmann::json& object, const char* path) {
  const auto& container = object.at("spec").at("template").at("spec").at("containers").at(0);
  return std::ranges::any_of(container.at("volumeMounts"),
                             [&](const auto& mount) { return mount.at("mountPath") == path; });
}

std::string Cluster::promoted_digest() const {
  if (!artifact_here.empty()) return artifact_here;
  for (const api::QuantRevision& each : foreign) {
    if (each.metadata.name == model.spec.quantization.from_revision) return each.spec.artifact.digest;
  }
  return "";
}

std::string Cluster::mounted_artifact(const nlohmann::json& object) {
  return mounted_at(object, "/models/artifact").substr(0, 64);
}

std::string Cluster::value_of(const nlohmann::json& args, const std::string& flag) {
  for (std::size_t i = 0; i + 1 < args.size(); ++i) {
    if (args[i] == flag) return args[i + 1];
  }
  return "";
}

void Cluster::settle(const std::string& name, const nlohmann::json& object) {
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

}  // namespace stepdown::rollout::testing
