#include "operator/kube/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "engine/base/error.h"

namespace stepdown::kube {
namespace {

std::unique_ptr<BIO, OpenSslDeleter> memory(const std::string& text) {
  return std::unique_ptr<BIO, OpenSslDeleter>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// Never asks on the terminal for the passphrase of an encrypted key.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

}  // namespace

std::vector<CertificatePtr> parse_certificates(const std::string& pem, const std::string& what) {
  const auto bio = memory(pem);
  std::vector<CertificatePtr> certificates;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)) {
    certificates.emplace_back(certificate);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (certificates.empty() || !at_end) throw InputError("not a PEM certificate", what);
  return certificates;
}

KeyPtr parse_private_key(const std::string& pem, const std::string& what) {
  const auto bio = memory(pem);
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!key) throw InputError("not an unencrypted PEM private key", what);
  return key;
}

}  // namespace stepdown::kube
