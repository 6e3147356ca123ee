#include "operator/local/api/kubeconfig.h"

#include "engine/base/atomic_file.h"
#include "operator/kube/base64.h"

namespace stepdown::local::api {
void write_kubeconfig(const std::filesystem::path& file, int port, const Certificates& certificates) {
  const std::string text =
      "apiVersion: v1\nkind: Config\nclusters:\n- name: stepdown-local\n  cluster:\n    server: "
      "https://127.0.0.1:" +
      std::to_string(port) + "\n    certificate-authority-data: " + kube::base64_encode(certificates.ca) +
      "\nusers:\n- name: stepdown-admin\n  user:\n    client-certificate-data: " +
      kube::base64_encode(certificates.admin) +
      "\n    client-key-data: " + kube::base64_encode(certificates.admin_key) +
      "\ncontexts:\n- name: stepdown-local\n  context:\n    cluster: stepdown-local\n    user: "
      "stepdown-admin\n"
      "    namespace: default\ncurrent-context: stepdown-local\n";
  write_file_atomically(file, text);
  std::filesystem::permissions(file,
                               std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

}  // namespace stepdown::local::api
