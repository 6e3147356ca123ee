#include "operator/local/node/pod_plan.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"

namespace stepdown::local {
namespace {

using nlohmann::json;

TEST(ExpandVariables, AsTheKubeletDoes) {
  const std::vector<std::pair<std::string, std::string>> env = {{"A", "1"}, {"B", "x$(A)"}};
  struct Case {
    const char* text;
    const char* expected;
  };
  for (const Case& c : {Case{"$(A)", "1"}, Case{"--host=$(A):80", "--host=1:80"}, Case{"$$(A)", "$(A)"},
                        Case{"$(NO)", "$(NO)"}, Case{"$(A", "$(A"}, Case{"$", "$"}, Case{"$A", "$A"},
                        Case{"$(B)", "x$(A)"}, Case{"", ""}, Case{"$$$(A)", "$1"}}) {
    EXPECT_EQ(expand_variables(c.text, env), c.expected) << c.text;
  }
}

TEST(ImageName, DropsRegistryTagAndDigest) {
  for (const char* image : {"stepdown/engine", "stepdown/engine:0.1.0", "docker.io/stepdown/engine:latest",
                            "stepdown/engine@sha256:abc", "stepdown/engine:1@sha256:abc"}) {
    EXPECT_EQ(image_name(image), "stepdown/engine") << image;
  }
  EXPECT_EQ(image_name("localhost:5000/x/y"), "localhost:5000/x/y");
  const std::filesystem::path images = std::filesystem::path(testing::TempDir()) / "images";
  std::filesystem::create_directories(images / "ghcr.io/ggml-org");
  std::ofstream(images / "ghcr.io/ggml-org/llama.cpp") << "#!";
  EXPECT_EQ(image_program("stepdown/gateway:2", "/bin", images), "/bin/stepdown-gateway");
  EXPECT_EQ(image_program("ghcr.io/ggml-org/llama.cpp:server", "/bin", images),
            std::filesystem::canonical(images / "ghcr.io/ggml-org/llama.cpp"));
  EXPECT_EQ(image_program("ghcr.io/ggml-org", "/bin", images), std::nullopt) << "a folder";
  EXPECT_EQ(image_program("../images/ghcr.io/ggml-org/llama.cpp", "/bin", images), std::nullopt);
  EXPECT_EQ(image_program("busybox", "/bin", images), std::nullopt);
}

json pod(const json& container) {
  json spec = {{"name", "c"}, {"image", "stepdown/engine"}};
  spec.update(container);
  return {
      {"metadata", {{"name", "p"}, {"namespace", "n"}, {"labels", {{"app.kubernetes.io/name", "engine"}}}}},
      {"spec", {{"restartPolicy", "Never"}, {"containers", {spec}}}}};
}

TEST(PlanPod, FillsInWhatTheContainerSees) {
  const json container = json::parse(R"json({
      "args": ["--host", "$(POD_IP)", "--name=$(NAME)", "$(ROLE)"],
      "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
              {"name": "NAME", "value": "$(POD_IP)-x"},
              {"name": "ROLE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app.kubernetes.io/name']"}}}],
      "ports": [{"name": "http", "containerPort": 8080}],
      "resources": {"limits": {"memory": "2Mi"}},
      "volumeMounts": [{"name": "v", "mountPath": "/models/base", "readOnly": true}],
      "readinessProbe": {"httpGet": {"port": "http", "path": "/readyz"}, "periodSeconds": 2}})json");
  const PodPlan plan = plan_pod(pod(container), "127.9.9.9", {{"EXTRA", "1"}});
  EXPECT_EQ(plan.restart_policy, RestartPolicy::kNever);
  const ContainerPlan& planned = plan.containers.at(0);
  EXPECT_EQ(planned.args, (std::vector<std::string>{"--host", "127.9.9.9", "--name=127.9.9.9-x", "engine"}));
  EXPECT_EQ(planned.memory_limit, 2 << 20);
  EXPECT_EQ(planned.termination_path, "/dev/termination-log");
  ASSERT_EQ(planned.mounts.size(), 1U);
  EXPECT_TRUE(planned.mounts[0].read_only);
  ASSERT_TRUE(planned.readiness);
  EXPECT_EQ(planned.readiness->port, 8080);
  EXPECT_EQ(planned.readiness->host, "127.9.9.9");
  EXPECT_EQ(planned.readiness->period, std::chrono::seconds(2));
  EXPECT_FALSE(planned.liveness);
}

TEST(PlanPod, RefusesWhatTheNodeLacks) {
  const char* const containers[] = {
      R"({"envFrom": [{"configMapRef": {"name": "x"}}]})",
      R"({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {}}}]})",
      R"({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.nope"}}}]})",
      R"({"livenessProbe": {"exec": {"command": ["true"]}}})",
      R"({"livenessProbe": {"grpc": {"port": 1}}})",
      R"({"livenessProbe": {"httpGet": {"port": "absent"}}})",
      R"({"lifecycle": {"preStop": {"exec": {"command": ["true"]}}}})",
      R"({"restartPolicy": "Always"})",
      R"({"volumeMounts": [{"name": "v", "mountPath": "relative"}]})",
  };
  for (const char* container : containers) {
    EXPECT_THROW(plan_pod(pod(json::parse(container)), "127.0.0.2", {}), InputError) << container;
  }
  const char* sleeps = R"({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}})";
  EXPECT_NO_THROW(plan_pod(pod(json::parse(sleeps)), "127.0.0.2", {}));
}

TEST(ProbeCounter, TurnsAtItsThresholds) {
  Probe probe;
  probe.failure_threshold = 3;
  probe.success_threshold = 2;
  ProbeCounter counter(probe, false);
  const auto now = ProbeCounter::Clock::now();
  const ProbeResult pass{true, ""};
  const ProbeResult fail{false, "no"};
  EXPECT_FALSE(counter.count(pass, now));
  EXPECT_TRUE(counter.count(pass, now));
  EXPECT_TRUE(counter.passing());
  EXPECT_FALSE(counter.count(fail, now));
  EXPECT_FALSE(counter.count(fail, now));
  EXPECT_FALSE(counter.failed());
  EXPECT_TRUE(counter.count(fail, now));
  EXPECT_TRUE(counter.failed());
  EXPECT_FALSE(counter.due(now + std::chrono::seconds(9), now));
  EXPECT_TRUE(counter.due(now + std::chrono::seconds(10), now));
}

}  // namespace
}  // namespace stepdown::local
