#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>

#include <yaml-cpp/yaml.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "operator/kube/base64.h"
#include "operator/kube/config.h"

namespace stepdown::kube {
namespace {

namespace fs = std::filesystem;

/// A named entry of a kubeconfig and the file it stands in: relative paths and messages refer to that.
struct Entry {
  YAML::Node body;
  fs::path directory;
  std::string origin;
};

/// Several files as one: the first that names an entry wins.
struct Merged {
  std::string current_context;
  std::map<std::string, Entry> contexts;
  std::map<std::string, Entry> clusters;
  std::map<std::string, Entry> users;
};

std::string scalar(const YAML::Node& map, const char* key) {
  if (!map.IsMap()) return {};
  const YAML::Node value = map[key];
  return value && value.IsScalar() ? value.Scalar() : std::string();
}

bool flag(const YAML::Node& map, const char* key) {
  const std::string text = scalar(map, key);
  return text == "true" || text == "True" || text == "TRUE";
}

void merge_entries(const YAML::Node& root, const char* list, const char* inner, const fs::path& directory,
                   const std::string& origin, std::map<std::string, Entry>& into) {
  const YAML::Node entries = root[list];
  if (!entries || entries.IsNull()) return;
  if (!entries.IsSequence()) throw InputError(std::string("'") + list + "' is no list", origin);
  for (const YAML::Node& entry : entries) {
    const std::string name = scalar(entry, "name");
    if (name.empty()) throw InputError(std::string("an entry of '") + list + "' has no name", origin);
    YAML::Node body = entry[inner];
    if (!body || body.IsNull()) body = YAML::Node(YAML::NodeType::Map);
    if (!body.IsMap()) throw InputError(std::string("'") + inner + "' of '" + name + "' is no map", origin);
    into.try_emplace(name, Entry{body, directory, origin});
  }
}

void merge_text(std::string_view yaml, const fs::path& directory, const std::string& origin, Merged& into) {
  YAML::Node root;
  try {
    root = YAML::Load(std::string(yaml));
  } catch (const YAML::Exception& error) {
    throw InputError("not YAML: " + error.msg, origin + ":" + std::to_string(error.mark.line + 1));
  }
  if (root.IsNull()) return;
  if (!root.IsMap()) throw InputError("not a kubeconfig: the top level is no map", origin);
  if (const std::string kind = scalar(root, "kind"); !kind.empty() && kind != "Config") {
    throw InputError("not a kubeconfig: kind is " + kind, origin);
  }
  if (into.current_context.empty()) into.current_context = scalar(root, "current-context");
  merge_entries(root, "contexts", "context", directory, origin, into.contexts);
  merge_entries(root, "clusters", "cluster", directory, origin, into.clusters);
  merge_entries(root, "users", "user", directory, origin, into.users);
}

const Entry& named(const std::map<std::string, Entry>& entries, const std::string& name, const char* what,
                   const std::string& origin) {
  const auto found = entries.find(name);
  if (found == entries.end()) {
    std::string known;
    for (const auto& [other, entry] : entries) known += (known.empty() ? "" : ", ") + other;
    throw InputError(std::string(what) + " '" + name + "' is not defined", origin,
                     known.empty() ? "add it" : "choose one of: " + known);
  }
  return found->second;
}

fs::path resolve(const Entry& entry, const std::string& path) {
  const fs::path given(path);
  return given.is_absolute() ? given : entry.directory / given;
}

/// The PEM of `key` ("certificate-authority"): inline as <key>-data, or a file.
std::string pem(const Entry& entry, const std::string& key) {
  constexpr std::uintmax_t kLargestPem = 1u << 20u;
  if (const std::string inline_data = scalar(entry.body, (key + "-data").c_str()); !inline_data.empty()) {
    const auto decoded = base64_decode(inline_data);
    if (!decoded) throw InputError(key + "-data is not base64", entry.origin);
    return *decoded;
  }
  const std::string path = scalar(entry.body, key.c_str());
  if (path.empty()) return {};
  const fs::path file = resolve(entry, path);
  std::error_code error;
  if (!fs::is_regular_file(file, error) || fs::file_size(file, error) > kLargestPem) {
    throw InputError(key + " is no readable PEM file", file.string(), "correct it in " + entry.origin);
  }
  return read_file(file);
}

ExecPlugin exec_plugin(const Entry& user) {
  const YAML::Node exec = user.body["exec"];
  if (!exec.IsMap()) throw InputError("'exec' is no map", user.origin);
  ExecPlugin plugin;
  plugin.api_version = scalar(exec, "apiVersion");
  plugin.command = scalar(exec, "command");
  plugin.install_hint = scalar(exec, "installHint");
  plugin.provide_cluster_info = flag(exec, "provideClusterInfo");
  constexpr std::array<std::string_view, 2> kVersions = {"client.authentication.k8s.io/v1",
                                                         "client.authentication.k8s.io/v1beta1"};
  if (std::find(kVersions.begin(), kVersions.end(), plugin.api_version) == kVersions.end()) {
    throw InputError("exec plugin has apiVersion '" + plugin.api_version + "'", user.origin,
                     "use client.authentication.k8s.io/v1");
  }
  if (plugin.command.empty()) throw InputError("exec plugin has no command", user.origin);
  // As kubectl does: a command with a slash is a path beside the kubeconfig, a bare one is sought in PATH.
  if (plugin.command.find('/') != std::string::npos) plugin.command = resolve(user, plugin.command).string();
  if (const YAML::Node args = exec["args"]; args && args.IsSequence()) {
    for (const YAML::Node& arg : args) plugin.args.push_back(arg.IsScalar() ? arg.Scalar() : std::string());
  }
  if (const YAML::Node env = exec["env"]; env && env.IsSequence()) {
    for (const YAML::Node& variable : env) plugin.env[scalar(variable, "name")] = scalar(variable, "value");
  }
  return plugin;
}

void read_cluster(const Entry& cluster, Config& config) {
  config.server = scalar(cluster.body, "server");
  if (config.server.empty()) throw InputError("the cluster has no server", cluster.origin);
  if (flag(cluster.body, "insecure-skip-tls-verify")) {
    throw InputError("insecure-skip-tls-verify is refused: the server's certificate is always verified",
                     cluster.origin, "remove it and give certificate-authority-data instead");
  }
  if (!scalar(cluster.body, "proxy-url").empty()) {
    throw InputError("proxy-url is not supported", cluster.origin, "reach the server directly");
  }
  config.tls_server_name = scalar(cluster.body, "tls-server-name");
  config.certificate_authority = pem(cluster, "certificate-authority");
}

void read_user(const Entry& user, Config& config) {
  config.client_certificate = pem(user, "client-certificate");
  config.client_key = pem(user, "client-key");
  if (config.client_certificate.empty() != config.client_key.empty()) {
    throw InputError("client-certificate and client-key go together", user.origin);
  }
  config.token = scalar(user.body, "token");
  if (const std::string path = scalar(user.body, "tokenFile"); !path.empty())
    config.token_file = resolve(user, path);
  config.username = scalar(user.body, "username");
  config.password = scalar(user.body, "password");
  if (user.body["exec"]) config.exec = exec_plugin(user);
  if (user.body["auth-provider"]) {
    throw InputError("auth-provider was removed from Kubernetes", user.origin, "use an exec plugin");
  }
}

Config resolve_context(const Merged& merged, std::string_view context, const std::string& origin) {
  const std::string name = context.empty() ? merged.current_context : std::string(context);
  if (name.empty()) throw InputError("no current-context", origin, "set one or pass a context");
  const Entry& chosen = named(merged.contexts, name, "context", origin);
  Config config;
  config.origin = chosen.origin;
  if (const std::string ns = scalar(chosen.body, "namespace"); !ns.empty()) config.default_namespace = ns;
  read_cluster(named(merged.clusters, scalar(chosen.body, "cluster"), "cluster", chosen.origin), config);
  if (const std::string user = scalar(chosen.body, "user"); !user.empty()) {
    read_user(named(merged.users, user, "user", chosen.origin), config);
  }
  return config;
}

/// yaml-cpp throws of its own where a node is not what it was asked as.
template <class Body>
Config guarded(const std::string& origin, Body body) {
  try {
    return body();
  } catch (const YAML::Exception& error) {
    throw InputError("not a kubeconfig: " + error.msg, origin);
  }
}

}  // namespace

Config parse_kubeconfig(std::string_view yaml, const fs::path& directory, std::string_view context) {
  const std::string origin = "kubeconfig";
  return guarded(origin, [&] {
    Merged merged;
    merge_text(yaml, directory, origin, merged);
    return resolve_context(merged, context, origin);
  });
}

Config load_kubeconfig(const std::vector<fs::path>& files, std::string_view context) {
  const std::string origin = files.empty() ? "kubeconfig" : files.front().string();
  return guarded(origin, [&] {
    Merged merged;
    for (const fs::path& file : files) {
      merge_text(read_file(file), fs::absolute(file).parent_path(), file.string(), merged);
    }
    return resolve_context(merged, context, origin);
  });
}

}  // namespace stepdown::kube
