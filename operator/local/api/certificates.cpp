#include "operator/local/api/certificates.h"

#include <memory>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::local::api {
namespace {

namespace fs = std::filesystem;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

constexpr long kTenYears = 3650L * 24 * 3600;

Key make_key() {
  Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  if (!key) throw Error("OpenSSL cannot make a key");
  return key;
}

void extend(X509* certificate, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
  if (extension == nullptr) throw Error("OpenSSL refuses a certificate extension", value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

struct Wish {
  const char* common_name;
  const char* organization;  // null: none
  const char* key_usage;
  const char* extended_usage;  // null: none
  const char* names;           // null: none
  bool authority;
};

Certificate make_certificate(const Wish& wish, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
  Certificate certificate(X509_new(), X509_free);
  X509* x = certificate.get();
  X509_set_version(x, 2);
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) throw Error("no random bytes from OpenSSL");
  serial[0] &= 0x7f;
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_bin2bn(serial, sizeof serial, nullptr),
                                                           BN_free);
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x));
  X509_gmtime_adj(X509_getm_notBefore(x), -300);
  X509_gmtime_adj(X509_getm_notAfter(x), kTenYears);
  X509_set_pubkey(x, key);
  X509_NAME* name = X509_get_subject_name(x);
  const auto add = [&](const char* field, const char* value) {
    X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value), -1,
                               -1, 0);
  };
  if (wish.organization != nullptr) add("O", wish.organization);
  add("CN", wish.common_name);
  X509_set_issuer_name(x, issuer == nullptr ? name : X509_get_subject_name(issuer));
  extend(x, issuer == nullptr ? x : issuer, NID_basic_constraints,
         wish.authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  extend(x, issuer == nullptr ? x : issuer, NID_key_usage, wish.key_usage);
  extend(x, issuer == nullptr ? x : issuer, NID_subject_key_identifier, "hash");
  if (wish.extended_usage != nullptr) extend(x, issuer, NID_ext_key_usage, wish.extended_usage);
  if (wish.names != nullptr) extend(x, issuer, NID_subject_alt_name, wish.names);
  if (X509_sign(x, issuer_key, EVP_sha256()) == 0) throw Error("OpenSSL cannot sign a certificate");
  return certificate;
}

template <typename Write>
std::string pem(Write write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
  write(out.get());
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(out.get(), &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

std::string pem(X509* certificate) {
  return pem([&](BIO* out) { PEM_write_bio_X509(out, certificate); });
}

std::string pem(EVP_PKEY* key) {
  return pem([&](BIO* out) { PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

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
  const Key ca_key = make_key();
  const Certificate ca =
      make_certificate({"stepdown-local", nullptr, "critical,keyCertSign,cRLSign", nullptr, nullptr, true},
                       ca_key.get(), nullptr, ca_key.get());
  const Key server_key = make_key();
  const Certificate server = make_certificate(
      {"kube-apiserver", nullptr, "critical,digitalSignature", "serverAuth",
       "IP:127.0.0.1,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc", false},
      server_key.get(), ca.get(), ca_key.get());
  const Key admin_key = make_key();
  const Certificate admin = make_certificate(
      {"stepdown-admin", "system:masters", "critical,digitalSignature", "clientAuth", nullptr, false},
      admin_key.get(), ca.get(), ca_key.get());
  Certificates made{pem(ca.get()), pem(server.get()), pem(server_key.get()), pem(admin.get()),
                    pem(admin_key.get())};
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
