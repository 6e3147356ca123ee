#include "operator/webhook/certificate_keeper.h"

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/kube/base64.h"
#include "operator/kube/resources.h"

namespace stepdown::webhook {
namespace {

using nlohmann::json;

const kube::GroupVersionResource kConfigurations{"admissionregistration.k8s.io", "v1",
                                                 "validatingwebhookconfigurations"};

/// The Secret's keys, and where each stands.
struct Entry {
  const char* key;
  std::string& (*text)(Certificates&);
};
const Entry kEntries[] = {
    {"ca.crt", [](Certificates& c) -> std::string& { return c.authority.certificate; }},
    {"ca.key", [](Certificates& c) -> std::string& { return c.authority.key; }},
    {"previous-ca.crt", [](Certificates& c) -> std::string& { return c.previous_authority; }},
    {"tls.crt", [](Certificates& c) -> std::string& { return c.serving.certificate; }},
    {"tls.key", [](Certificates& c) -> std::string& { return c.serving.key; }},
};

/// nullopt while the Secret is as empty as it was installed.
std::optional<Certificates> read(const json& secret) {
  Certificates out;
  for (const Entry& entry : kEntries) {
    entry.text(out) =
        kube::base64_decode(kube::text_at(secret, std::string("/data/") + entry.key)).value_or("");
  }
  if (out.authority.certificate.empty()) return std::nullopt;
  return out;
}

json written(json secret, Certificates certificates) {
  secret["data"] = json::object();
  for (const Entry& entry : kEntries) {
    if (const std::string& text = entry.text(certificates); !text.empty()) {
      secret["data"][entry.key] = kube::base64_encode(text);
    }
  }
  return secret;
}

}  // namespace

CertificateKeeper::CertificateKeeper(kube::Client client, Names names, Lifetimes lifetimes)
    : client_(std::move(client)), names_(std::move(names)), lifetimes_(lifetimes) {}

Certificates CertificateKeeper::refresh(pki::Time now) const {
  const std::string host = names_.service + "." + names_.ns + ".svc";
  for (int attempt = 0;; ++attempt) {
    const json secret = client_.get(kube::resources::kSecrets, {names_.ns, names_.secret}).value();
    const std::optional<Certificates> held = read(secret);
    const auto next = renewed(held, {"DNS:" + host, "DNS:" + host + ".cluster.local"}, lifetimes_, now);
    if (!next) {
      announce(held->trusted());
      return *held;
    }
    const auto stored = client_.replace(kube::resources::kSecrets, written(secret, *next));
    if (stored) {
      log::info("renewed the webhook's certificates", {{"secret", names_.ns + "/" + names_.secret}});
      announce(next->trusted());
      return *next;
    }
    // Another copy was first: take what it wrote.
    if (!stored.error().conflict() || attempt == 3) throw kube::ApiException(stored.error());
  }
}

void CertificateKeeper::announce(const std::string& trusted) const {
  json configuration = client_.get(kConfigurations, {"", names_.configuration}).value();
  const std::string bundle = kube::base64_encode(trusted);
  bool changed = false;
  for (json& webhook : configuration["webhooks"]) {
    json& client_config = webhook["clientConfig"];
    if (client_config.value("caBundle", "") == bundle) continue;
    client_config["caBundle"] = bundle;
    changed = true;
  }
  if (!changed) return;
  const auto stored = client_.replace(kConfigurations, configuration);
  // A conflict: another copy did the same, and the next look makes sure.
  if (!stored && !stored.error().conflict()) throw kube::ApiException(stored.error());
  log::info("told the API server whom to trust", {{"configuration", names_.configuration}});
}

}  // namespace stepdown::webhook
