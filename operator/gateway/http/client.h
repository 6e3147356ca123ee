#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "operator/gateway/http/asio.h"
#include "operator/gateway/http/message.h"

namespace stepdown::gateway {

/// Why no answer, or no more of it, came.
struct NetError {
  enum class Kind {
    kConnect,
    kBroken,
    kTimeout,
    kGivenUp,  ///< by us: nobody waits for the answer any longer
  };
  Kind kind = Kind::kBroken;
  std::string what;
};

template <class T>
struct Outcome {
  std::optional<T> value;
  NetError error;  ///< when there is no value

  Outcome(T v) : value(std::move(v)) {}
  Outcome(NetError e) : error(std::move(e)) {}
  explicit operator bool() const { return value.has_value(); }
};

/// Keep-alive connections to engines. For one thread.
class HttpClient {
 public:
  struct Limits {
    std::chrono::milliseconds connect{1000};
    std::size_t most_idle = 256;              ///< connections an address
    std::chrono::seconds longest_idle{20};    ///< of a kept connection
    std::chrono::milliseconds stall{60'000};  ///< between two pieces of an answer's body
  };

  HttpClient(asio::io_context& io, Limits limits);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// An answer whose header has come. Destroying it before the end closes its connection, which tells the
  /// engine to stop.
  class Answer {
   public:
    Answer();
    ~Answer();
    Answer(Answer&&) noexcept;
    Answer& operator=(Answer&&) noexcept;

    int status() const;
    const Headers& headers() const;
    /// The next bytes of the body as they come; empty: it is complete.
    Task<Outcome<std::string>> read();
    /// The rest of the body; broken when it is longer than `most` bytes.
    Task<Outcome<std::string>> read_all(std::size_t most);

   private:
    friend class HttpClient;
    struct State;
    std::unique_ptr<State> state_;
  };

  /// Sends and waits for the answer's header. `deadline` holds for the whole exchange, the body too; so does
  /// `gone`, which closes the connection at once. A kept connection that turns out closed is replaced by a
  /// fresh one unseen.
  Task<Outcome<Answer>> send(Address to, const Request& request, SteadyTime deadline,
                             std::stop_token gone = {});

 private:
  struct Pool;
  std::shared_ptr<Pool> pool_;
};

}  // namespace stepdown::gateway
