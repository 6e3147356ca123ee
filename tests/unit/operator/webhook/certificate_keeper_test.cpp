#include "operator/webhook/certificate_keeper.h"

#include "tests/unit/operator/kube/fake_transport.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "operator/kube/base64.h"

namespace stepdown::webhook {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const pki::Time kNow = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());

/// An API server that has the two objects, with optimistic concurrency.
struct FakeCluster {
  json secret = {
      {"apiVersion", "v1"},
      {"kind", "Secret"},
      {"metadata", {{"namespace", "ops"}, {"name", "stepdown-webhook-tls"}, {"resourceVersion", "1"}}}};
  json configuration = {{"apiVersion", "admissionregistration.k8s.io/v1"},
                        {"kind", "ValidatingWebhookConfiguration"},
                        {"metadata", {{"name", "stepdown"}, {"resourceVersion", "1"}}},
                        {"webhooks", {{{"name", "a"}, {"clientConfig", {{"service", {{"name", "s"}}}}}}}}};
  int writes = 0;
  std::function<void(json& secret)> before_write = [](json&) {};

  kube::HttpResponse answer(const kube::HttpRequest& request) {
    json& object = request.path.find("/secrets/") != std::string::npos ? secret : configuration;
    if (request.method == "PUT") {
      std::exchange(before_write, [](json&) {})(secret);
      const json given = json::parse(request.body);
      if (given["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"]) {
        return {409, {}, R"({"kind":"Status","reason":"Conflict","code":409})"};
      }
      object = given;
      object["metadata"]["resourceVersion"] = std::to_string(++writes + 1);
    }
    return {200, {}, object.dump()};
  }

  CertificateKeeper keeper() {
    return {kube::Client(std::make_shared<kube::FakeTransport>(
                [this](const kube::HttpRequest& request) { return answer(request); })),
            {.ns = "ops"},
            {}};
  }
  std::string bundle() const {
    return kube::base64_decode(configuration["webhooks"][0]["clientConfig"]["caBundle"].get<std::string>())
        .value_or("");
  }
};

TEST(CertificateKeeper, FillsTheSecretAndTellsTheApiServer) {
  FakeCluster cluster;
  const Certificates made = cluster.keeper().refresh(kNow);
  EXPECT_TRUE(pki::issued_by(made.serving.certificate, cluster.bundle()));
  EXPECT_EQ(cluster.configuration["webhooks"][0]["clientConfig"]["service"]["name"], "s");
  EXPECT_EQ(cluster.secret["data"].size(), 4u);
}

TEST(CertificateKeeper, WritesNothingTheSecondTime) {
  FakeCluster cluster;
  const Certificates made = cluster.keeper().refresh(kNow);
  EXPECT_EQ(cluster.writes, 2);
  EXPECT_EQ(cluster.keeper().refresh(kNow + 1h), made) << "another copy serves the same";
  EXPECT_EQ(cluster.writes, 2);
}

TEST(CertificateKeeper, TakesWhatAnotherCopyWroteFirst) {
  FakeCluster cluster, other;
  const Certificates theirs = other.keeper().refresh(kNow);
  cluster.before_write = [&](json& secret) {
    secret["data"] = other.secret["data"];
    secret["metadata"]["resourceVersion"] = "77";
  };
  EXPECT_EQ(cluster.keeper().refresh(kNow), theirs);
  EXPECT_EQ(cluster.bundle(), theirs.trusted());
}

TEST(CertificateKeeper, PutsBackTrustThatSomebodyRemoved) {
  FakeCluster cluster;
  const Certificates made = cluster.keeper().refresh(kNow);
  cluster.configuration["webhooks"][0]["clientConfig"].erase("caBundle");
  (void)cluster.keeper().refresh(kNow);
  EXPECT_EQ(cluster.bundle(), made.trusted());
}

}  // namespace
}  // namespace stepdown::webhook
