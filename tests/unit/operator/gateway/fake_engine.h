#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "operator/gateway/http/server.h"

namespace stepdown::gateway {

/// An engine with OpenAI's API that says what it is told to say. Its right answer to a prompt P is
/// {"echo": "P", "note": "the pump at dock four ran dry again"} for json_object, and a sentence with P
/// otherwise.
class FakeEngine {
 public:
  enum class Mode {
    kHealthy,
    kServerError,
    kNonFinite,
    kLooping,
    kOffSchema,  // leaves the requested format midway
    kEmpty,
    kFluentWrong,  // valid, and not what FP16 says
    kUnsure,       // right, with a low mean log-probability
    kHang,
    kStallMidway,  // sends no more after some text, and leaves the connection open
    kBreakMidway,  // closes the connection after some text
    kNonFiniteMidway,
    kClientError,
    kOverloaded,
    kEnding,        // takes no more work, as an engine that got SIGTERM
    kWithoutPages,  // healthy, and knows no /readyz, as vLLM
  };

  explicit FakeEngine(Mode mode, std::uint16_t port = 0);
  ~FakeEngine() { kill(); }

  /// Gone at once, open connections too; a later FakeEngine may take its port.
  void kill();
  void set(Mode mode) { mode_ = mode; }
  Address address() const { return {"127.0.0.1", port_}; }
  int requests() const { return requests_; }
  /// Requests whose client hung up while this engine hung.
  int abandoned() const { return abandoned_; }
  std::string last_header(const std::string& name) const;

 private:
  Task<> handle(Exchange& exchange);
  Task<> hang(Exchange& exchange);

  std::atomic<Mode> mode_;
  std::atomic<int> requests_{0};
  std::atomic<int> abandoned_{0};
  mutable std::mutex mutex_;
  Headers last_headers_;
  std::uint16_t port_ = 0;
  std::unique_ptr<asio::io_context> io_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

}  // namespace stepdown::gateway
