#include "engine/fetch/credentials.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include "engine/base/error.h"

namespace stepdown::fetch {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kLongestSecret = 1 << 20;  // as Kubernetes allows

std::string read_secret(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return "";
  std::string text(kLongestSecret, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

std::string trimmed(const std::string& text) {
  constexpr const char* kBlank = " \t\r\n";
  const auto from = text.find_first_not_of(kBlank);
  return from == std::string::npos ? "" : text.substr(from, text.find_last_not_of(kBlank) - from + 1);
}

std::string environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

std::string decode_base64(const std::string& text) {
  if (text.empty() || text.size() % 4 != 0) return "";
  std::string out(text.size() / 4 * 3, '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (length < 0) return "";
  out.resize(static_cast<std::size_t>(length) - (text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0));
  return out;
}

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

RegistryLogin read_login(const json& entry) {
  RegistryLogin login;
  if (!entry.is_object()) return login;
  login = {text_of(entry, "username"), text_of(entry, "password"), text_of(entry, "identitytoken")};
  if (const std::string both = decode_base64(text_of(entry, "auth")); !both.empty()) {
    const auto colon = both.find(':');
    login.username = both.substr(0, colon);
    login.password = colon == std::string::npos ? "" : both.substr(colon + 1);
  }
  return login;
}

/// A key of "auths": the host, perhaps as a URL, perhaps with the beginning of the repository behind it.
bool names(std::string key, const std::string& host, const std::string& repository, std::size_t& length) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.erase(0, scheme.size());
  }
  for (const std::string_view api : {"/v1/", "/v2/", "/v1", "/v2", "/"}) {
    if (key.ends_with(api)) key.erase(key.size() - api.size());
  }
  const bool hub = host == "registry-1.docker.io" && (key == "index.docker.io" || key == "docker.io");
  const std::string whole = host + "/" + repository;
  length = key.size();
  return hub || key == host || whole == key || whole.starts_with(key + "/");
}

}  // namespace

Credentials::Credentials(fs::path folder) : folder_(std::move(folder)) {
  if (!folder_.empty() && !fs::is_directory(folder_)) {
    throw InputError("no folder of credentials", folder_.string(), "mount the Secret there");
  }
}

std::string Credentials::file(const std::string& name) const {
  return folder_.empty() ? "" : trimmed(read_secret(folder_ / name));
}

std::string Credentials::value(const std::string& name) const {
  const std::string own = file(name);
  return own.empty() ? environment(name) : own;
}

std::string Credentials::path_of(const std::string& name) const {
  return !folder_.empty() && fs::exists(folder_ / name) ? (folder_ / name).string() : "";
}

RegistryLogin login_in_docker_config(const std::string& json_text, const std::string& host,
                                     const std::string& repository) {
  const json config = json::parse(json_text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) {
    throw InputError("not a Docker config.json", "credentials",
                     "make the Secret by kubectl create secret docker-registry");
  }
  RegistryLogin best;
  std::size_t longest = 0;
  const auto auths = config.find("auths");
  if (auths == config.end() || !auths->is_object()) return best;
  for (const auto& [key, entry] : auths->items()) {
    std::size_t length = 0;
    if (!names(key, host, repository, length) || length < longest) continue;
    if (RegistryLogin login = read_login(entry); !login.empty()) {
      best = std::move(login);
      longest = length;
    }
  }
  return best;
}

RegistryLogin registry_login(const Credentials& credentials, const std::string& host,
                             const std::string& repository) {
  RegistryLogin login{credentials.file("username"), credentials.file("password"), ""};
  if (login.password.empty()) login.password = credentials.file("token");
  if (login.username.empty() && !login.password.empty()) login.username = "token";
  if (!login.empty()) return login;
  std::string config = credentials.file(".dockerconfigjson");
  if (config.empty()) config = credentials.file("config.json");
  if (config.empty()) {
    const std::string own = environment("DOCKER_CONFIG");
    const std::string home = environment("HOME");
    const fs::path folder = !own.empty() ? fs::path(own) : fs::path(home) / ".docker";
    if (!own.empty() || !home.empty()) config = read_secret(folder / "config.json");
  }
  return config.empty() ? login : login_in_docker_config(config, host, repository);
}

}  // namespace stepdown::fetch
