#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "operator/kube/config.h"

namespace stepdown::kube {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = R"(
apiVersion: v1
kind: Config
current-context: dev
contexts:
- {name: dev, context: {cluster: one, user: token, namespace: team}}
- {name: certs, context: {cluster: two, user: certs}}
- {name: exec, context: {cluster: one, user: exec}}
- {name: anonymous, context: {cluster: one}}
- {name: insecure, context: {cluster: insecure, user: token}}
- {name: dangling, context: {cluster: one, user: nobody}}
clusters:
- {name: one, cluster: {server: "https://one:6443", certificate-authority-data: UEVNLUNB, tls-server-name: other}}
- {name: two, cluster: {server: "https://two", certificate-authority: ca.pem}}
- {name: insecure, cluster: {server: "https://three", insecure-skip-tls-verify: true}}
users:
- {name: token, user: {token: secret}}
- {name: certs, user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}}
- name: exec
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./plugin
      args: [get-token, --cluster, x]
      env: [{name: A, value: b}]
      provideClusterInfo: true
)";

class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / ("kubeconfig-test-" + std::to_string(::getpid()))) {
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return path_ / name;
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

TEST(Kubeconfig, CurrentContext) {
  const Config config = parse_kubeconfig(kConfig, "/etc/kube");
  EXPECT_EQ(config.server, "https://one:6443");
  EXPECT_EQ(config.certificate_authority, "PEM-CA");
  EXPECT_EQ(config.tls_server_name, "other");
  EXPECT_EQ(config.default_namespace, "team");
  EXPECT_EQ(config.token, "secret");
}

TEST(Kubeconfig, CertificatesInlineAndFromFilesBesideIt) {
  const Folder folder;
  folder.write("ca.pem", "FILE-CA");
  const Config config = load_kubeconfig({folder.write("config", kConfig)}, "certs");
  EXPECT_EQ(config.certificate_authority, "FILE-CA");
  EXPECT_EQ(config.client_certificate, "CERT");
  EXPECT_EQ(config.client_key, "KEY");
  EXPECT_EQ(config.default_namespace, "default");
}

TEST(Kubeconfig, ExecPlugin) {
  const Config config = parse_kubeconfig(kConfig, "/etc/kube", "exec");
  ASSERT_TRUE(config.exec);
  EXPECT_EQ(config.exec->command, "/etc/kube/./plugin");
  EXPECT_EQ(config.exec->args, (std::vector<std::string>{"get-token", "--cluster", "x"}));
  EXPECT_EQ(config.exec->env.at("A"), "b");
  EXPECT_TRUE(config.exec->provide_cluster_info);
}

TEST(Kubeconfig, FirstFileOfAListWins) {
  const Folder folder;
  const fs::path first = folder.write("first", R"(
contexts: [{name: dev, context: {cluster: one, user: token, namespace: mine}}]
users: [{name: token, user: {token: first}}]
)");
  const Config config = load_kubeconfig({first, folder.write("second", kConfig)});
  EXPECT_EQ(config.default_namespace, "mine");
  EXPECT_EQ(config.token, "first");
  EXPECT_EQ(config.server, "https://one:6443");
}

TEST(Kubeconfig, RefusesWithPlaceAndMend) {
  struct Case {
    std::string yaml;
    std::string context;
    std::string message;
  };
  for (const Case& c : {
           Case{kConfig, "insecure", "insecure-skip-tls-verify is refused"},
           Case{kConfig, "absent", "context 'absent' is not defined"},
           Case{kConfig, "dangling", "user 'nobody' is not defined"},
           Case{kConfig, "certs", "certificate-authority is no readable PEM file"},
           Case{"a: [", "", "not YAML"},
           Case{"[]", "", "the top level is no map"},
           Case{"kind: Pod", "", "kind is Pod"},
           Case{"contexts: 5", "", "'contexts' is no list"},
           Case{"contexts: [{context: {}}]", "", "has no name"},
           Case{"{}", "", "no current-context"},
           Case{"current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: c, "
                "cluster: {}}]",
                "", "has no server"},
           Case{"current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: c, "
                "cluster: {server: "
                "'https://x', certificate-authority-data: '!'}}]",
                "", "is not base64"},
       }) {
    try {
      parse_kubeconfig(c.yaml, "/nonexistent", c.context);
      ADD_FAILURE() << "accepted: " << c.message;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(c.message), std::string::npos) << error.what();
      EXPECT_NE(error.where(), "");
    }
  }
}

TEST(InCluster, ReadsTheServiceAccountsFiles) {
  const Folder folder;
  folder.write("ca.crt", "CA");
  folder.write("token", "T\n");
  folder.write("namespace", "prod\n");
  ::setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  ::setenv("KUBERNETES_SERVICE_PORT", "6443", 1);
  const Config config = load_in_cluster(folder.path());
  ::unsetenv("KUBERNETES_SERVICE_HOST");
  ::unsetenv("KUBERNETES_SERVICE_PORT");
  EXPECT_EQ(config.server, "https://[fd00::1]:6443");
  EXPECT_EQ(config.certificate_authority, "CA");
  EXPECT_EQ(config.default_namespace, "prod");
  EXPECT_EQ(config.token_file, folder.path() / "token");
  EXPECT_THROW(load_in_cluster(folder.path()), InputError);
}

}  // namespace
}  // namespace stepdown::kube
