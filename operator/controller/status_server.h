#pragma once

#include <functional>
#include <memory>
#include <string>

namespace stepdown::controller {

/// Serves /metrics, /healthz and /readyz over HTTP on a thread of its own.
class StatusServer {
 public:
  struct Pages {
    std::function<std::string()> metrics;
    std::function<std::string()> not_ready;  ///< why; empty when ready
  };

  /// `address`: "host:port" or ":port". Throws Error when it cannot listen there.
  StatusServer(const std::string& address, const Pages& pages);
  ~StatusServer();
  StatusServer(const StatusServer&) = delete;
  StatusServer& operator=(const StatusServer&) = delete;

  int port() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::controller
