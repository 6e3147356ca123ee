#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/pki/certificate.h"

namespace stepdown::webhook {

/// All that the webhook's TLS needs. Every copy of the operator reads and renews the same.
struct Certificates {
  pki::KeyPair authority;
  std::string previous_authority;  ///< PEM, trusted until it ends; empty: none
  pki::KeyPair serving;
  bool operator==(const Certificates&) const = default;

  /// What API servers are told to trust.
  std::string trusted() const { return authority.certificate + previous_authority; }
};

struct Lifetimes {
  std::chrono::seconds serving = std::chrono::days{90};
  std::chrono::seconds authority = std::chrono::days{365};
  /// How long a new authority is announced before anything it signed is served: API servers learn of it late.
  std::chrono::seconds announcement = std::chrono::minutes{2};
};

/// What should stand in place of `now_held` at `now`; nullopt while it is good as it is. Pure but for the
/// keys' chance. Certificates are renewed when two thirds of their life are over. A new authority first joins
/// the old one in what is trusted, and signs only after the announcement, so that no handshake ever fails.
std::optional<Certificates> renewed(const std::optional<Certificates>& now_held,
                                    const std::vector<std::string>& names, const Lifetimes& lifetimes,
                                    pki::Time now);

}  // namespace stepdown::webhook
