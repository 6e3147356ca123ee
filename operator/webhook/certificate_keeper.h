#pragma once

#include <string>

#include "operator/kube/client.h"
#include "operator/webhook/rotation.h"

namespace stepdown::webhook {

/// Where the certificates live in the cluster. All three are made by who installs the operator, which needs
/// no right to create any.
struct Names {
  std::string ns;
  std::string service = "stepdown-webhook";
  std::string secret = "stepdown-webhook-tls";
  std::string configuration = "stepdown";  ///< ValidatingWebhookConfiguration
};

/// Keeps the Secret's certificates fresh and the API server's trust in them. Copies of the operator share the
/// Secret: what another one wrote first wins.
class CertificateKeeper {
 public:
  CertificateKeeper(kube::Client client, Names names, Lifetimes lifetimes);

  /// One look: renews what is due, and tells the ValidatingWebhookConfiguration whom to trust. Gives what to
  /// serve. Throws Error when the API server cannot be asked or refuses.
  Certificates refresh(pki::Time now) const;

 private:
  void announce(const std::string& trusted) const;

  kube::Client client_;
  Names names_;
  Lifetimes lifetimes_;
};

}  // namespace stepdown::webhook
