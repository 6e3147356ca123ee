#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown::kube {

/// A command that prints an ExecCredential (client.authentication.k8s.io/v1 or v1beta1).
struct ExecPlugin {
  std::string api_version;
  std::string command;
  std::vector<std::string> args;
  std::map<std::string, std::string> env;
  std::string install_hint;
  bool provide_cluster_info = false;
  std::chrono::seconds time_limit{60};  ///< of one run; a plugin that hangs must not stop its caller for good
};

/// Where an API server is and how to prove who we are. PEM texts, never paths, but for the token file, which
/// is read again when it changes.
struct Config {
  std::string server;                 ///< "https://host:port/prefix"
  std::string certificate_authority;  ///< PEM; empty: the system's roots
  std::string tls_server_name;        ///< name to verify in place of the host's
  std::string default_namespace = "default";
  std::string client_certificate;  ///< PEM
  std::string client_key;          ///< PEM
  std::string token;
  std::filesystem::path token_file;
  std::string username;  ///< HTTP basic authentication
  std::string password;
  std::optional<ExecPlugin> exec;
  std::string origin;  ///< the file it came from, for messages
};

/// A kubeconfig's text → the Config of `context` (current-context when empty). Relative paths in it are of
/// `directory`. Throws InputError with place and mend; insecure-skip-tls-verify and proxy-url are refused,
/// never ignored.
Config parse_kubeconfig(std::string_view yaml, const std::filesystem::path& directory,
                        std::string_view context = {});

/// Reads one or several kubeconfigs; the first file that names a context, cluster or user wins, as in
/// kubectl.
Config load_kubeconfig(const std::vector<std::filesystem::path>& files, std::string_view context = {});

/// What a pod sees: KUBERNETES_SERVICE_HOST and _PORT, and the ServiceAccount's files.
/// Throws InputError outside a pod.
Config load_in_cluster(
    const std::filesystem::path& service_account = "/var/run/secrets/kubernetes.io/serviceaccount");

/// The usual order: `explicit_path`, $KUBECONFIG (a list), in-cluster, ~/.kube/config.
Config load_config(const std::filesystem::path& explicit_path = {}, std::string_view context = {});

}  // namespace stepdown::kube
