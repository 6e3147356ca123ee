#pragma once

#include <filesystem>
#include <memory>
#include <string>

namespace stepdown::local::api {

struct ServerOptions {
  std::filesystem::path folder;   ///< holds everything: database, keys, kubeconfig, pod logs
  int port = 0;                   ///< 0: the port of the last start, or a free one
  std::int64_t history = 10'000;  ///< revisions kept for watches
};

/// The embedded API server: HTTPS on 127.0.0.1, objects in SQLite, garbage collection in the background.
class Server {
 public:
  /// Opens the state, binds the port and writes the kubeconfig. Throws Error.
  explicit Server(const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const;
  /// Serves until stop(), which any thread may call.
  void run();
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stepdown::local::api
