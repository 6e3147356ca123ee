#include "operator/local/supervisor/crds.h"

#include <chrono>
#include <thread>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/api/yaml.h"
#include "operator/kube/resources.h"

namespace stepdown::local {

using nlohmann::json;

namespace {

bool established(const json& crd) {
  for (const json& condition : kube::value_at(crd, "/status/conditions")) {
    if (kube::text_at(condition, "/type") == "Established")
      return kube::text_at(condition, "/status") == "True";
  }
  return false;
}

void wait_established(const kube::Client& client, const kube::ObjectKey& key) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  while (!established(client.get(kube::resources::kCustomResourceDefinitions, key).value())) {
    if (std::chrono::steady_clock::now() > deadline)
      throw Error("the API server does not serve a CRD", key.name);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

std::vector<json> crd_documents() {
  std::vector<json> crds;
  for (const std::string_view text : embedded_crds()) {
    for (json& crd : api::documents_from_yaml(std::string(text), "crds")) crds.push_back(std::move(crd));
  }
  return crds;
}

void install_crds(const kube::Client& client) {
  std::vector<kube::ObjectKey> keys;
  for (const json& crd : crd_documents()) {
    const auto applied =
        client.apply(kube::resources::kCustomResourceDefinitions, crd, {"stepdown-local", true});
    if (!applied) throw Error("cannot install a CRD: " + applied.error().text(), kube::key_of(crd).name);
    keys.push_back(kube::key_of(crd));
  }
  for (const kube::ObjectKey& key : keys) wait_established(client, key);
}

}  // namespace stepdown::local
