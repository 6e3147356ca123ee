#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "operator/gateway/cluster/snapshot.h"
#include "operator/gateway/http/message.h"
#include "operator/gateway/http/server.h"
#include "operator/gateway/proxy/proxy.h"
#include "operator/gateway/upstream/upstreams.h"

namespace stepdown::gateway {

struct GatewayOptions {
  Address listen{"0.0.0.0", 8000};
  std::string service;  ///< that clients use: its other endpoints are this gateway's peers
  std::filesystem::path state_dir;
  HttpServer::Limits http;
  Proxy::Limits proxy;
  Upstreams::Limits upstreams;
  std::chrono::milliseconds peers_every{200};
  std::chrono::milliseconds tell_every{100};  ///< a look at whether status has changed
  std::chrono::seconds drain{25};             ///< for requests under way when asked to end
};

/// The whole data plane: one thread that runs coroutines, fed by a RouteSource, telling a VerdictSink.
class Gateway {
 public:
  /// Listens at once; throws Error when it cannot.
  Gateway(GatewayOptions options, std::unique_ptr<RouteSource> source, std::unique_ptr<VerdictSink> sink);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  std::uint16_t port() const;
  /// Serves until `stop` was called and the requests under way are answered.
  void run();
  /// From any thread.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::gateway
