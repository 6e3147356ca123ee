#include "operator/local/node/deployment_decision.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "operator/kube/time.h"

namespace stepdown::local {
namespace {

using nlohmann::json;

const WallClock::time_point kNow = *kube::parse_time("2026-01-01T12:00:00Z");

json deployment(int replicas, const json& strategy = json::object()) {
  json object = json::parse(R"({"apiVersion": "apps/v1", "kind": "Deployment",
      "metadata": {"namespace": "n", "name": "d", "generation": 1, "uid": "u"},
      "spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}})");
  object["spec"]["replicas"] = replicas;
  object["spec"]["strategy"] = strategy;
  return object;
}

json pod(const std::string& name, const std::string& hash, bool ready) {
  return {{"metadata", {{"namespace", "n"}, {"name", name}, {"labels", {{"pod-template-hash", hash}}}}},
          {"status",
           {{"phase", "Running"},
            {"conditions",
             {{{"type", "Ready"},
               {"status", ready ? "True" : "False"},
               {"lastTransitionTime", "2026-01-01T11:00:00Z"}}}}}}};
}

/// A cluster of one Deployment: carries decisions out, one at a time, and makes pods ready a round after they
/// start.
class World {
 public:
  explicit World(json deployment) : deployment_(std::move(deployment)) {}

  /// Whether anything happened.
  bool round() {
    std::vector<kube::ObjectPtr> seen;
    for (const json& pod : pods_) seen.push_back(std::make_shared<json>(pod));
    const DeploymentDecision decision = decide_deployment(deployment_, seen, kNow);
    deployment_["status"] = decision.status;
    bool changed = false;
    for (json& pod : pods_) {
      if (!pod_ready(pod)) {
        pod["status"]["conditions"][0]["status"] = "True";
        changed = true;
      }
    }
    for (const std::string& name : decision.remove) {
      std::erase_if(pods_, [&](const json& pod) { return kube::key_of(pod).name == name; });
      changed = true;
    }
    for (const std::string& name : decision.create) {
      pods_.push_back(pod(name, decision.template_hash, false));
      changed = true;
    }
    return changed;
  }

  void settle() {
    for (int i = 0; i < 100 && round(); ++i) watch();
  }

  void watch() {
    const auto ready =
        std::count_if(pods_.begin(), pods_.end(), [](const json& pod) { return pod_ready(pod); });
    least_ready_ = std::min(least_ready_, static_cast<std::size_t>(ready));
    most_pods_ = std::max(most_pods_, pods_.size());
  }
  void watch_from_here() {
    least_ready_ = 1000;
    most_pods_ = 0;
    watch();
  }

  json deployment_;
  std::vector<json> pods_;
  std::size_t least_ready_ = 1000;
  std::size_t most_pods_ = 0;
};

struct RollCase {
  const char* name;
  int replicas;
  json strategy;
  std::size_t least_ready;
  std::size_t most_pods;
};

TEST(DecideDeployment, RollingUpdatesKeepTheirLimits) {
  const auto rolling = [](const json& surge, const json& unavailable) {
    return json{{"type", "RollingUpdate"},
                {"rollingUpdate", {{"maxSurge", surge}, {"maxUnavailable", unavailable}}}};
  };
  for (const RollCase& c :
       {RollCase{"default of one", 1, {}, 1, 2}, RollCase{"default of four", 4, {}, 3, 5},
        RollCase{"no surge", 2, rolling(0, 1), 1, 2}, RollCase{"surge alone", 3, rolling(1, 0), 3, 4},
        RollCase{"both zero", 2, rolling(0, 0), 1, 2}, RollCase{"percent", 10, rolling("20%", "10%"), 9, 12},
        RollCase{"recreate", 2, {{"type", "Recreate"}}, 0, 2}}) {
    World world(deployment(c.replicas, c.strategy));
    world.settle();
    ASSERT_EQ(world.pods_.size(), static_cast<std::size_t>(c.replicas)) << c.name;
    world.deployment_["spec"]["template"]["spec"]["containers"][0]["image"] = "new";
    const std::string hash = template_hash(world.deployment_["spec"]["template"]);
    world.watch_from_here();
    world.settle();
    EXPECT_EQ(world.least_ready_, c.least_ready) << c.name;
    EXPECT_EQ(world.most_pods_, c.most_pods) << c.name;
    EXPECT_EQ(world.pods_.size(), static_cast<std::size_t>(c.replicas)) << c.name;
    for (const json& pod : world.pods_) EXPECT_EQ(kube::label_of(pod, "pod-template-hash"), hash) << c.name;
    EXPECT_EQ(kube::integer_at(world.deployment_, "/status/updatedReplicas", 0), c.replicas) << c.name;
    EXPECT_EQ(kube::integer_at(world.deployment_, "/status/unavailableReplicas", 0), 0) << c.name;
  }
}

TEST(DecideDeployment, ANewVersionThatNeverGetsReadyCostsNothing) {
  World world(deployment(2));
  world.settle();
  world.deployment_["spec"]["template"]["spec"]["containers"][0]["image"] = "broken";
  std::vector<kube::ObjectPtr> seen;
  for (const json& pod : world.pods_) seen.push_back(std::make_shared<json>(pod));
  const std::string hash = template_hash(world.deployment_["spec"]["template"]);
  seen.push_back(std::make_shared<json>(pod("d-" + hash + "-0", hash, false)));
  const DeploymentDecision decision = decide_deployment(world.deployment_, seen, kNow);
  EXPECT_TRUE(decision.create.empty());
  EXPECT_TRUE(decision.remove.empty());
}

TEST(DecideDeployment, ScalesAndReplacesTheDead) {
  World world(deployment(3));
  world.settle();
  world.deployment_["spec"]["replicas"] = 1;
  world.settle();
  EXPECT_EQ(world.pods_.size(), 1U);
  world.pods_[0]["status"]["phase"] = "Failed";
  world.settle();
  ASSERT_EQ(world.pods_.size(), 1U);
  EXPECT_EQ(world.pods_[0]["status"]["phase"], "Running");
  world.deployment_["spec"]["replicas"] = 0;
  world.settle();
  EXPECT_TRUE(world.pods_.empty());
}

TEST(DecideDeployment, AStaleCacheNamesTheSamePods) {
  const json object = deployment(2);
  EXPECT_EQ(decide_deployment(object, {}, kNow).create, decide_deployment(object, {}, kNow).create);
}

TEST(DecideDeployment, SaysWhenItIsStuck) {
  json object = deployment(1);
  object["spec"]["progressDeadlineSeconds"] = 60;
  object["status"] = decide_deployment(object, {}, kNow).status;
  const auto reason = [&](WallClock::time_point now) {
    const json status = decide_deployment(object, {}, now).status;
    for (const json& condition : status["conditions"]) {
      if (condition["type"] == "Progressing") return condition["reason"].get<std::string>();
    }
    return std::string();
  };
  EXPECT_EQ(reason(kNow + std::chrono::seconds(59)), "ReplicaSetUpdated");
  EXPECT_EQ(reason(kNow + std::chrono::seconds(60)), "ProgressDeadlineExceeded");
}

TEST(DecideDeployment, MakesNoMorePodsAtOnceThanAClusterDoes) {
  EXPECT_EQ(decide_deployment(deployment(2'000'000'000), {}, kNow).create.size(), 500U);
}

}  // namespace
}  // namespace stepdown::local
