#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/runtime/engine.h"

namespace stepdown::server {

struct ServiceOptions {
  std::string host = "127.0.0.1";
  int port = 8080;                 ///< 0: any free one
  std::vector<std::string> names;  ///< what clients may call the model; the first is shown
  std::string revision;            ///< "sha256:…"
  std::size_t max_connections = 256;
  std::size_t max_body_bytes = std::size_t{8} << 20;
  std::chrono::seconds grace{25};                ///< for open requests, once asked to stop
  std::vector<std::string> api_keys;             ///< that open /v1; empty: all is open
  std::string tls_certificate, tls_key;          ///< PEM files; empty: plain HTTP
  std::optional<std::int64_t> predicted_memory;  ///< bytes, once the cache is full; shown beside the peak
};

/// The OpenAI-compatible API of one engine.
class HttpService {
 public:
  /// Binds the address. Throws InputError when it cannot.
  HttpService(runtime::Engine& engine, const formats::TokenizerData& tokenizer, ServiceOptions options);
  ~HttpService();

  int port() const;
  /// Serves until stop(). Returns when all connections are closed.
  void run();
  /// Not ready at once, new requests refused; open ones get the grace period. Safe from any thread; blocks.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::server
