#include "operator/local/api/certificates.h"

#include <openssl/rand.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "operator/pki/certificate.h"

namespace stepdown::local::api {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::days kTenYears{3650};

void write_private(const fs::path& file, const std::string& text) {
  write_file_atomically(file, text);
  fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
}

}  // namespace

Certificates load_certificates(const fs::path& folder) {
  const char* kNames[] = {"ca.crt", "server.crt", "server.key", "admin.crt", "admin.key"};
  fs::create_directories(folder);
  fs::permissions(folder, fs::perms::owner_all);
  bool complete = true;
  for (const char* name : kNames) complete &= fs::exists(folder / name);
  if (complete) {
    return {read_file(folder / "ca.crt"), read_file(folder / "server.crt"), read_file(folder / "server.key"),
            read_file(folder / "admin.crt"), read_file(folder / "admin.key")};
  }
  const pki::Time now = std::chrono::system_clock::now();
  const pki::Validity validity{now, now + kTenYears};
  const pki::KeyPair authority = pki::make_authority("stepdown-local", validity);
  const pki::KeyPair server = pki::issue(authority,
                                         {.common_name = "kube-apiserver",
                                          .names = {"IP:127.0.0.1", "DNS:localhost", "DNS:kubernetes",
                                                    "DNS:kubernetes.default", "DNS:kubernetes.default.svc"}},
                                         validity);
  const pki::KeyPair admin = pki::issue(
      authority,
      {.common_name = "stepdown-admin", .organization = "system:masters", .usage = pki::Usage::kClient},
      validity);
  Certificates made{authority.certificate, server.certificate, server.key, admin.certificate, admin.key};
  // The authority's key is kept nowhere: nothing more is ever signed with it.
  write_file_atomically(folder / "ca.crt", made.ca);
  write_file_atomically(folder / "server.crt", made.server);
  write_private(folder / "server.key", made.server_key);
  write_file_atomically(folder / "admin.crt", made.admin);
  write_private(folder / "admin.key", made.admin_key);
  return made;
}

std::string load_secret(const fs::path& file) {
  if (fs::exists(file)) return read_file(file);
  std::string bytes(32, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size())) != 1) {
    throw Error("no random bytes from OpenSSL");
  }
  write_private(file, bytes);
  return bytes;
}

}  // namespace stepdown::local::api
