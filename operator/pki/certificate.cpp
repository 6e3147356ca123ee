#include "operator/pki/certificate.h"

#include <memory>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "engine/base/error.h"

namespace stepdown::pki {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Memory = std::unique_ptr<BIO, decltype(&BIO_free)>;

constexpr std::chrono::minutes kClockSkew{5};  // of those who check

Memory reader(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

Certificate read_certificate(const std::string& pem) {
  const Memory in = reader(pem);
  Certificate certificate(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr), X509_free);
  if (!certificate) throw InputError("not a PEM certificate");
  return certificate;
}

Key read_key(const std::string& pem) {
  const Memory in = reader(pem);
  Key key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  if (!key) throw InputError("not a PEM private key");
  return key;
}

template <typename Write>
std::string pem(Write write) {
  const Memory out(BIO_new(BIO_s_mem()), BIO_free);
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

void extend(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str());
  if (extension == nullptr) throw Error("OpenSSL refuses a certificate extension", value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

void number(X509* certificate) {
  unsigned char serial[16];
  if (RAND_bytes(serial, sizeof serial) != 1) throw Error("no random bytes from OpenSSL");
  serial[0] &= 0x7f;
  const std::unique_ptr<BIGNUM, decltype(&BN_free)> value(BN_bin2bn(serial, sizeof serial, nullptr), BN_free);
  BN_to_ASN1_INTEGER(value.get(), X509_get_serialNumber(certificate));
}

void name(X509* certificate, const Request& request) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto add = [&](const char* field, const std::string& value) {
    if (value.empty()) return;
    X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(value.data()),
                               static_cast<int>(value.size()), -1, 0);
  };
  add("O", request.organization);
  add("CN", request.common_name);
}

/// Not yet signed. The issuer of an authority is itself.
Certificate draft(const Request& request, const Validity& validity, EVP_PKEY* key) {
  Certificate certificate(X509_new(), X509_free);
  X509* x = certificate.get();
  X509_set_version(x, 2);
  number(x);
  ASN1_TIME_set(X509_getm_notBefore(x), std::chrono::system_clock::to_time_t(validity.from - kClockSkew));
  ASN1_TIME_set(X509_getm_notAfter(x), std::chrono::system_clock::to_time_t(validity.to));
  X509_set_pubkey(x, key);
  name(x, request);
  return certificate;
}

void sign(X509* certificate, EVP_PKEY* key) {
  if (X509_sign(certificate, key, EVP_sha256()) == 0) throw Error("OpenSSL cannot sign a certificate");
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  if (!key) throw Error("OpenSSL cannot make a key");
  return key;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& each : names) out += (out.empty() ? "" : ",") + each;
  return out;
}

Time time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) throw InputError("a certificate without a valid time");
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

}  // namespace

KeyPair make_authority(const std::string& common_name, const Validity& validity) {
  const Key key = make_key();
  const Certificate certificate = draft({.common_name = common_name}, validity, key.get());
  X509* x = certificate.get();
  X509_set_issuer_name(x, X509_get_subject_name(x));
  extend(x, x, NID_basic_constraints, "critical,CA:TRUE");
  extend(x, x, NID_key_usage, "critical,keyCertSign,cRLSign");
  extend(x, x, NID_subject_key_identifier, "hash");
  sign(x, key.get());
  return {pem(x), pem(key.get())};
}

KeyPair issue(const KeyPair& authority, const Request& request, const Validity& validity) {
  const Certificate issuer = read_certificate(authority.certificate);
  const Key issuer_key = read_key(authority.key);
  const Key key = make_key();
  const Certificate certificate = draft(request, validity, key.get());
  X509* x = certificate.get();
  X509_set_issuer_name(x, X509_get_subject_name(issuer.get()));
  extend(x, issuer.get(), NID_basic_constraints, "critical,CA:FALSE");
  extend(x, issuer.get(), NID_key_usage, "critical,digitalSignature");
  extend(x, issuer.get(), NID_subject_key_identifier, "hash");
  extend(x, issuer.get(), NID_ext_key_usage, request.usage == Usage::kServer ? "serverAuth" : "clientAuth");
  if (!request.names.empty()) extend(x, issuer.get(), NID_subject_alt_name, joined(request.names));
  sign(x, issuer_key.get());
  return {pem(x), pem(key.get())};
}

Validity validity_of(const std::string& certificate) {
  const Certificate read = read_certificate(certificate);
  return {time_of(X509_get0_notBefore(read.get())) + kClockSkew, time_of(X509_get0_notAfter(read.get()))};
}

bool issued_by(const std::string& certificate, const std::string& authority) {
  const Certificate issuer = read_certificate(authority);
  EVP_PKEY* key = X509_get0_pubkey(issuer.get());
  return key != nullptr && X509_verify(read_certificate(certificate).get(), key) == 1;
}

bool belong_together(const KeyPair& pair) {
  try {
    return X509_check_private_key(read_certificate(pair.certificate).get(), read_key(pair.key).get()) == 1;
  } catch (const InputError&) {
    return false;
  }
}

}  // namespace stepdown::pki
