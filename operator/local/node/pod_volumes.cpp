#include "operator/local/node/pod_volumes.h"

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "operator/kube/base64.h"
#include "operator/kube/resources.h"
#include "operator/kube/time.h"

namespace stepdown::local {

namespace fs = std::filesystem;
using kube::text_at;
using kube::value_at;
using nlohmann::json;

namespace {

constexpr std::int64_t kTokenLifetime = 3600;
constexpr const char* kRootCertificates = "kube-root-ca.crt";

/// Keys of config maps and secrets become file names; the API allows no slash, but a lying server must not
/// get out.
fs::path file_below(const fs::path& folder, const std::string& name) {
  fs::path file = (folder / name).lexically_normal();
  if (name.empty() || fs::path(name).is_absolute() ||
      file.lexically_relative(folder).string().starts_with("..")) {
    throw InputError("a volume's file name leads out of the volume", name);
  }
  fs::create_directories(file.parent_path());
  return file;
}

/// The files of a config map or secret: all keys, or the listed `items` under their own paths.
void write_entries(const json& data, const json& from, bool base64, const fs::path& folder) {
  constexpr std::int64_t kReadable = 0644;
  const std::int64_t default_mode = kube::integer_at(from, "/defaultMode", kReadable);
  const auto write = [&](const std::string& key, const std::string& name, std::int64_t mode) {
    const auto found = data.find(key);  // by name: a key may be ".dockerconfigjson", never a path
    const std::string text = found != data.end() && found->is_string() ? found->get<std::string>() : "";
    const fs::path file = file_below(folder, name);
    write_file_atomically(file, base64 ? kube::base64_decode(text).value_or("") : text);
    fs::permissions(file, static_cast<fs::perms>(mode & 0777));
  };
  const json& items = value_at(from, "/items");
  if (items.empty()) {
    for (const auto& [key, value] : data.items()) write(key, key, default_mode);
  }
  for (const json& item : items) {
    write(text_at(item, "/key"), text_at(item, "/path"), kube::integer_at(item, "/mode", default_mode));
  }
}

}  // namespace

PodVolumes::PodVolumes(const NodeContext& context, const json& pod, fs::path folder)
    : context_(context),
      namespace_(kube::key_of(pod).ns),
      pod_name_(kube::key_of(pod).name),
      pod_uid_(kube::uid_of(pod)),
      account_(text_at(pod, "/spec/serviceAccountName")),
      volumes_(value_at(pod, "/spec/volumes")),
      folder_(std::move(folder)) {
  if (account_.empty()) account_ = "default";
  if (value_at(pod, "/spec/automountServiceAccountToken") == false) return;
  for (const json& container : value_at(pod, "/spec/containers")) {
    for (const json& mount : value_at(container, "/volumeMounts")) {
      if (text_at(mount, "/mountPath") == kServiceAccountPath) return;  // admission has added it already
    }
  }
  service_account_ = folder_ / "service-account";
}

void PodVolumes::prepare() {
  for (const json& volume : volumes_) {
    const std::string name = text_at(volume, "/name");
    if (!paths_.contains(name)) paths_[name] = prepare_volume(volume);
  }
  if (service_account_.empty() || tokens_.contains(service_account_ / "token")) return;
  fs::create_directories(service_account_);
  write_file_atomically(service_account_ / "ca.crt", context_.certificate_authority);
  write_file_atomically(service_account_ / "namespace", namespace_);
  write_token(service_account_ / "token", kTokenLifetime);
}

void PodVolumes::refresh() {
  const auto now = Clock::now();
  for (const auto& [path, token] : std::map(tokens_)) {
    if (now >= token.renew_at) write_token(path, token.lifetime_seconds);
  }
}

fs::path PodVolumes::path_of(const std::string& volume) const {
  const auto found = paths_.find(volume);
  if (found == paths_.end()) throw InputError("a volumeMount names no volume of the pod", volume);
  return found->second;
}

fs::path PodVolumes::prepare_volume(const json& volume) {
  if (volume.contains("hostPath")) return host_path(volume["hostPath"]);
  if (volume.contains("persistentVolumeClaim")) {
    const kube::ObjectKey claim{namespace_, text_at(volume, "/persistentVolumeClaim/claimName")};
    const auto found = context_.client.get(kube::resources::kPersistentVolumeClaims, claim);
    if (!found) throw Error("persistentvolumeclaim \"" + claim.name + "\": " + found.error().text());
    fs::create_directories(context_.claim_folder(claim));
    return context_.claim_folder(claim);
  }
  fs::path folder = folder_ / text_at(volume, "/name");
  fs::create_directories(folder);
  if (volume.contains("emptyDir")) return folder;
  if (volume.contains("configMap")) {
    project({{"sources", {{{"configMap", volume["configMap"]}}}}}, folder);
    return folder;
  }
  if (volume.contains("secret")) {
    json source = volume["secret"];
    source["name"] = text_at(source, "/secretName");
    project({{"sources", {{{"secret", source}}}}}, folder);
    return folder;
  }
  if (volume.contains("projected")) {
    project(volume["projected"], folder);
    return folder;
  }
  throw InputError("this kind of volume is not supported by the local node", volume.dump());
}

fs::path PodVolumes::host_path(const json& source) const {
  fs::path path = text_at(source, "/path");
  if (text_at(source, "/type") == "DirectoryOrCreate") fs::create_directories(path);
  if (!fs::exists(path)) throw Error("hostPath does not exist", path.string());
  return path;
}

void PodVolumes::project(const json& projected, const fs::path& folder) {
  for (const json& source : value_at(projected, "/sources")) {
    if (source.contains("serviceAccountToken")) {
      const json& token = source["serviceAccountToken"];
      write_token(file_below(folder, text_at(token, "/path")),
                  kube::integer_at(token, "/expirationSeconds", kTokenLifetime));
    } else if (source.contains("configMap") || source.contains("secret")) {
      const bool secret = source.contains("secret");
      const json& from = secret ? source["secret"] : source["configMap"];
      const std::string name = text_at(from, "/name");
      const auto found = context_.client.get(
          secret ? kube::resources::kSecrets : kube::resources::kConfigMaps, {namespace_, name});
      if (found) {
        write_entries(value_at(*found, "/data"), from, secret, folder);
      } else if (name == kRootCertificates && found.error().not_found()) {
        write_file_atomically(folder / "ca.crt", context_.certificate_authority);
      } else if (value_at(from, "/optional") != true) {
        throw Error((secret ? "secret \"" : "configmap \"") + name + "\": " + found.error().text());
      }
    } else if (source.contains("downwardAPI")) {
      for (const json& item : value_at(source, "/downwardAPI/items")) {
        const std::string field = text_at(item, "/fieldRef/fieldPath");
        if (field != "metadata.namespace" && field != "metadata.name") {
          throw InputError("downwardAPI field is not supported by the local node", field);
        }
        write_file_atomically(file_below(folder, text_at(item, "/path")),
                              field == "metadata.name" ? pod_name_ : namespace_);
      }
    } else {
      throw InputError("this projected source is not supported by the local node", source.dump());
    }
  }
}

void PodVolumes::write_token(const fs::path& path, std::int64_t lifetime_seconds) {
  const json request = {
      {"apiVersion", "authentication.k8s.io/v1"},
      {"kind", "TokenRequest"},
      {"spec",
       {{"expirationSeconds", lifetime_seconds},
        {"boundObjectRef",
         {{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", pod_name_}, {"uid", pod_uid_}}}}}};
  const auto answer = context_.client.create_subresource(kube::resources::kServiceAccounts,
                                                         {namespace_, account_}, "token", request);
  if (!answer) throw Error("token of serviceaccount \"" + account_ + "\": " + answer.error().text());
  write_file_atomically(path, text_at(*answer, "/status/token"));
  const auto now = Clock::now();
  const auto expires = kube::parse_time(text_at(*answer, "/status/expirationTimestamp"));
  tokens_[path] = {lifetime_seconds, expires ? now + (*expires - now) * 4 / 5 : now + std::chrono::hours(1)};
}

}  // namespace stepdown::local
