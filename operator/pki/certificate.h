#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

/// Small certificate authorities: EC P-256 keys and X.509 certificates as PEM texts.
namespace stepdown::pki {

using Time = std::chrono::system_clock::time_point;

struct KeyPair {
  std::string certificate;  ///< PEM
  std::string key;          ///< PEM, PKCS#8
  bool operator==(const KeyPair&) const = default;
};

struct Validity {
  Time from;
  Time to;
};

enum class Usage { kServer, kClient };

struct Request {
  std::string common_name;
  std::string organization;
  Usage usage = Usage::kServer;
  std::vector<std::string> names;  ///< "DNS:localhost", "IP:127.0.0.1"
};

/// A certificate that signs itself, and may sign others.
KeyPair make_authority(const std::string& common_name, const Validity& validity);
KeyPair issue(const KeyPair& authority, const Request& request, const Validity& validity);

/// Throw InputError where the text is no PEM certificate.
Validity validity_of(const std::string& certificate);
/// By signature alone, whatever the time is.
bool issued_by(const std::string& certificate, const std::string& authority);
/// Whether the private key belongs to the certificate; false for texts that are neither.
bool belong_together(const KeyPair& pair);

}  // namespace stepdown::pki
