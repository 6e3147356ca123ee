#include "operator/kube/config.h"

#include <cstdlib>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::kube {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

/// KUBECONFIG's colon-separated list; files that do not exist are skipped, as kubectl does.
std::vector<fs::path> existing_files(const std::string& list) {
  std::vector<fs::path> files;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(':', begin), list.size());
    const fs::path file = list.substr(begin, end - begin);
    if (!file.empty() && fs::exists(file)) files.push_back(file);
    begin = end + 1;
  }
  return files;
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

}  // namespace

Config load_in_cluster(const fs::path& service_account) {
  const std::string host = environment("KUBERNETES_SERVICE_HOST");
  const std::string port = environment("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    throw InputError("not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set", {},
                     "pass --kubeconfig");
  }
  const bool v6 = host.find(':') != std::string::npos;
  Config config;
  config.server = "https://" + (v6 ? "[" + host + "]" : host) + ":" + port;
  config.certificate_authority = read_file(service_account / "ca.crt");
  config.token_file = service_account / "token";
  config.origin = service_account.string();
  if (fs::exists(service_account / "namespace")) {
    config.default_namespace = trimmed(read_file(service_account / "namespace"));
  }
  return config;
}

Config load_config(const fs::path& explicit_path, std::string_view context) {
  if (!explicit_path.empty()) return load_kubeconfig({explicit_path}, context);
  if (const std::string list = environment("KUBECONFIG"); !list.empty()) {
    const auto files = existing_files(list);
    if (files.empty())
      throw InputError("no file of KUBECONFIG exists", list, "correct the variable or unset it");
    return load_kubeconfig(files, context);
  }
  if (!environment("KUBERNETES_SERVICE_HOST").empty()) return load_in_cluster();
  const fs::path home = fs::path(environment("HOME")) / ".kube" / "config";
  if (!fs::exists(home)) {
    throw InputError("no cluster configured", home.string(), "pass --kubeconfig or set KUBECONFIG");
  }
  return load_kubeconfig({home}, context);
}

}  // namespace stepdown::kube
