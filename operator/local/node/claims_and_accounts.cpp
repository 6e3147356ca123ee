#include "operator/local/node/claims_and_accounts.h"

#include <filesystem>

#include <nlohmann/json.hpp>

#include "operator/kube/resources.h"

namespace stepdown::local {

using kube::ObjectKey;
using kube::text_at;
using kube::value_at;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr const char* kManager = "stepdown-local-claims";

std::string volume_name(const ObjectKey& claim) {
  return "local-" + claim.ns + "-" + claim.name;
}

json persistent_volume(const json& claim, const fs::path& folder) {
  const ObjectKey key = kube::key_of(claim);
  return {{"apiVersion", "v1"},
          {"kind", "PersistentVolume"},
          {"metadata", {{"name", volume_name(key)}}},
          {"spec",
           {{"accessModes", value_at(claim, "/spec/accessModes")},
            {"capacity", {{"storage", value_at(claim, "/spec/resources/requests/storage")}}},
            {"hostPath", {{"path", folder}, {"type", "DirectoryOrCreate"}}},
            {"persistentVolumeReclaimPolicy", "Delete"},
            {"claimRef",
             {{"apiVersion", "v1"},
              {"kind", "PersistentVolumeClaim"},
              {"namespace", key.ns},
              {"name", key.name},
              {"uid", kube::uid_of(claim)}}}}}};
}

}  // namespace

ClaimController::ClaimController(const NodeContext& context, kube::Informer& claims)
    : context_(context),
      claims_(claims),
      loop_("claim controller", [this](const ObjectKey& key) { return reconcile(key); }) {
  loop_.watch(claims);
}

std::optional<std::chrono::milliseconds> ClaimController::reconcile(const ObjectKey& key) {
  const kube::ObjectPtr claim = claims_.get(key);
  const fs::path folder = context_.claim_folder(key);
  if (!claim) {
    fs::remove_all(folder);
    const auto removed = context_.client.remove(kube::resources::kPersistentVolumes, {"", volume_name(key)});
    if (!removed && !removed.error().not_found()) throw kube::ApiException(removed.error());
    return std::nullopt;
  }
  if (text_at(*claim, "/status/phase") == "Bound" || kube::is_being_deleted(*claim)) return std::nullopt;
  fs::create_directories(folder);
  const json volume = persistent_volume(*claim, folder);
  const auto applied = context_.client.apply(kube::resources::kPersistentVolumes, volume, {kManager, true});
  if (!applied) throw kube::ApiException(applied.error());
  write_phase(kube::resources::kPersistentVolumes, {"", volume_name(key)}, {{"phase", "Bound"}});
  if (text_at(*claim, "/spec/volumeName").empty()) {
    const auto named = context_.client.patch_merge(kube::resources::kPersistentVolumeClaims, key,
                                                   {{"spec", {{"volumeName", volume_name(key)}}}});
    if (!named) throw kube::ApiException(named.error());
  }
  write_phase(kube::resources::kPersistentVolumeClaims, key,
              {{"phase", "Bound"},
               {"accessModes", value_at(*claim, "/spec/accessModes")},
               {"capacity", {{"storage", value_at(*claim, "/spec/resources/requests/storage")}}}});
  return std::nullopt;
}

void ClaimController::write_phase(const kube::GroupVersionResource& gvr, const ObjectKey& key,
                                  const json& status) const {
  const auto written = context_.client.patch_merge(gvr, key, {{"status", status}}, "status");
  if (!written && !written.error().not_found()) throw kube::ApiException(written.error());
}

AccountController::AccountController(const NodeContext& context, kube::Informer& namespaces,
                                     kube::Informer& accounts)
    : context_(context),
      namespaces_(namespaces),
      accounts_(accounts),
      loop_("account controller", [this](const ObjectKey& key) { return reconcile(key); }) {
  loop_.watch(namespaces);
  loop_.watch(accounts, [](const json& account) { return ObjectKey{"", kube::key_of(account).ns}; });
}

std::optional<std::chrono::milliseconds> AccountController::reconcile(const ObjectKey& key) {
  const kube::ObjectPtr ns = namespaces_.get(key);
  if (!ns || kube::is_being_deleted(*ns) || accounts_.get({key.name, "default"})) return std::nullopt;
  const json account = {{"apiVersion", "v1"},
                        {"kind", "ServiceAccount"},
                        {"metadata", {{"namespace", key.name}, {"name", "default"}}}};
  const auto created = context_.client.create(kube::resources::kServiceAccounts, account);
  if (!created && !created.error().already_exists()) throw kube::ApiException(created.error());
  return std::nullopt;
}

}  // namespace stepdown::local
