#pragma once

#include <memory>
#include <string>

#include "operator/kube/client.h"
#include "operator/webhook/certificate_keeper.h"

namespace stepdown::webhook {

struct Options {
  int port = 0;
  bool engine_profiles = true;  ///< whether they may be read
  Names names;
  Lifetimes lifetimes;
};

/// The whole admission webhook: server, EngineProfiles it judges by, and a thread that keeps its certificates
/// fresh. Runs in every copy of the operator, leading or not, until destroyed.
class Webhook {
 public:
  Webhook(const kube::Client& client, const Options& options);
  ~Webhook();

  /// Why no review can be answered yet; empty once API servers were told to trust a certificate that is
  /// served.
  std::string not_ready() const;

  /// Answers on for the seconds in which API servers still choose this pod, whose end they learn of after it
  /// has begun; then returns. Without it their next review would wait for an address that answers no more.
  void drain();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::webhook
