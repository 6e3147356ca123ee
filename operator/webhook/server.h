#pragma once

#include <functional>
#include <memory>
#include <string>

#include "operator/pki/certificate.h"
#include "operator/webhook/review.h"

namespace stepdown::webhook {

/// HTTPS on `port` of all addresses, on threads of its own: POST /validate. It has no certificate, and
/// refuses handshakes, until the first use(). Throws Error when the port is taken.
class Server {
 public:
  using Reviewer = std::function<Answer(const std::string& body)>;

  Server(int port, const Reviewer& reviewer);
  ~Server();

  /// New connections get this certificate from now on. Safe from any thread. Throws InputError for texts that
  /// are no certificate and key.
  void use(const pki::KeyPair& certificate);
  /// From now on every answer asks its client to close the connection, and to come again by another one.
  void leave();
  int port() const;  ///< also when 0 was asked

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::webhook
