#pragma once

#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "operator/kube/client.h"
#include "operator/kube/config.h"
#include "operator/kube/resources.h"

namespace stepdown::kube::contract {

using nlohmann::json;

/// A client of the API server that KUBECONFIG names, and a namespace of the test program's own.
class Contract : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::signal(SIGPIPE, SIG_IGN);  // as run_program does
    const json ns = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", ns_name()}}}};
    const auto created = client().create(resources::kNamespaces, ns);
    ASSERT_TRUE(created || created.error().already_exists()) << created.error().text();
  }

  void TearDown() override {
    for (const auto& gvr : {resources::kConfigMaps, resources::kDeployments, resources::kLeases}) {
      ListOptions all;
      all.ns = ns_name();
      for (const json& object : client().list_all(gvr, all).value())
        (void)client().remove(gvr, key_of(object));
    }
  }

  static Client& client() {
    static Client instance(load_config());
    return instance;
  }
  static std::string ns_name() { return "contract-" + std::to_string(::getpid()); }

  static json config_map(const std::string& name, const json& data = json::object()) {
    return {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", {{"namespace", ns_name()}, {"name", name}}},
            {"data", data}};
  }

  static json deployment(const std::string& name) {
    return {{"apiVersion", "apps/v1"},
            {"kind", "Deployment"},
            {"metadata", {{"namespace", ns_name()}, {"name", name}}},
            {"spec",
             {{"selector", {{"matchLabels", {{"app", name}}}}},
              {"template",
               {{"metadata", {{"labels", {{"app", name}}}}},
                {"spec", {{"containers", {{{"name", "c"}, {"image", "stepdown/engine"}}}}}}}}}}};
  }

  template <class Condition>
  static bool eventually(Condition condition, std::chrono::seconds limit = std::chrono::seconds(10)) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < end) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return condition();
  }
};

}  // namespace stepdown::kube::contract
