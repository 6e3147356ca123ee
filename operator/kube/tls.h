#pragma once

#include <memory>
#include <string>
#include <vector>

#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace stepdown::kube {

struct OpenSslDeleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using CertificatePtr = std::unique_ptr<X509, OpenSslDeleter>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpenSslDeleter>;

/// Every certificate of a PEM text, in order. Throws InputError when there is none or one is broken;
/// `what` names the text in the message.
std::vector<CertificatePtr> parse_certificates(const std::string& pem, const std::string& what);
KeyPtr parse_private_key(const std::string& pem, const std::string& what);

}  // namespace stepdown::kube
