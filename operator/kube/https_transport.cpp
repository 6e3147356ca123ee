#include <mutex>
#include <vector>

#include <httplib.h>
#include <netinet/tcp.h>

#include "engine/base/version.h"
#include "operator/kube/config.h"
#include "operator/kube/credentials.h"
#include "operator/kube/result.h"
#include "operator/kube/server_url.h"
#include "operator/kube/tls.h"
#include "operator/kube/transport.h"

namespace stepdown::kube {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kConnectTimeout{10'000};
constexpr std::size_t kIdleConnections = 8;
// Below what API servers and load balancers before them allow (60 s and more).
constexpr std::chrono::seconds kLongestIdle{30};
constexpr std::size_t kLongestErrorBody = 1u << 20u;

/// The Retry-After header in seconds; the HTTP-date form is not used by API servers.
std::optional<std::chrono::seconds> retry_after(const httplib::Response& response) {
  const std::string text = response.get_header_value("Retry-After");
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || text.size() > 6)
    return std::nullopt;
  return std::chrono::seconds(std::stoi(text));
}

void set_timeouts(httplib::ClientImpl& http, std::chrono::milliseconds timeout) {
  http.set_connection_timeout(std::min(timeout, kConnectTimeout));
  http.set_read_timeout(timeout);
  http.set_write_timeout(timeout);
}

/// A server that vanished without a word is noticed within half a minute, on watches too, where silence is
/// normal.
void notice_lost_peer(socket_t socket) {
  const auto set = [&](int level, int option, int value) {
    ::setsockopt(socket, level, option, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
}

struct Connection {
  std::unique_ptr<httplib::ClientImpl> http;
  httplib::SSLClient* tls = nullptr;  ///< the same object, where it is one
  std::uint64_t generation = 0;       ///< of the client certificate it presents
  bool used = false;
  Clock::time_point idle_since;
};

class HttpsTransport final : public Transport {
 public:
  explicit HttpsTransport(Config config)
      : config_(std::move(config)), url_(parse_server_url(config_.server)), credentials_(config_) {
    if (!config_.certificate_authority.empty()) {
      roots_ =
          parse_certificates(config_.certificate_authority, "certificate-authority of " + config_.origin);
    }
  }

  HttpResponse send(const HttpRequest& request) override {
    for (bool second_try = false;; second_try = true) {
      const Identity identity = credentials_.current();
      Connection connection = take(identity);
      const bool reused = connection.used;
      set_timeouts(*connection.http, request.timeout);
      const httplib::Request http_request = translate(request, identity);
      const httplib::Result result = connection.http->send(http_request);
      if (!result) {
        // The server may have closed an idle connection just as we wrote to it, and then the others too.
        if (reused) drop_idle();
        if (reused && request.repeatable && !second_try) continue;
        fail(connection, result.error(), request);
      }
      if (result->status == 401 && !second_try) {
        credentials_.reject(identity.generation);
        if (credentials_.current().generation != identity.generation) continue;
      }
      HttpResponse response{result->status, retry_after(*result), result->body};
      give_back(std::move(connection));
      return response;
    }
  }

  HttpResponse stream(const HttpRequest& request, std::chrono::milliseconds idle,
                      const std::function<bool(std::string_view)>& on_chunk, std::stop_token stop) override {
    const Identity identity = credentials_.current();
    Connection connection = connect(identity);
    set_timeouts(*connection.http, idle);
    HttpResponse response;
    httplib::Request http_request = translate(request, identity);
    http_request.response_handler = [&](const httplib::Response& head) {
      response.status = head.status;
      response.retry_after = retry_after(head);
      return !stop.stop_requested();
    };
    http_request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
      if (stop.stop_requested()) return false;
      if (response.status == 200) return on_chunk({data, size});
      response.body.append(data, size);
      return response.body.size() < kLongestErrorBody;
    };
    const std::stop_callback on_stop(stop, [&] { connection.http->stop(); });
    const httplib::Result result = connection.http->send(http_request);
    if (response.status == 0) {
      if (!stop.stop_requested()) fail(connection, result.error(), request);
      response.status = 200;
    }
    if (response.status == 401) credentials_.reject(identity.generation);
    return response;
  }

 private:
  httplib::Request translate(const HttpRequest& request, const Identity& identity) const {
    httplib::Request result;
    result.method = request.method;
    result.path = url_.prefix + request.path;
    result.body = request.body;
    result.headers.emplace("Accept", "application/json");
    result.headers.emplace("User-Agent", "stepdown/" + std::string(kVersion));
    if (!request.content_type.empty()) result.headers.emplace("Content-Type", request.content_type);
    if (!identity.authorization.empty()) result.headers.emplace("Authorization", identity.authorization);
    return result;
  }

  Connection connect(const Identity& identity) const {
    Connection connection;
    connection.generation = identity.generation;
    if (url_.tls) {
      connection.http = connect_tls(identity, connection);
    } else {
      connection.http = std::make_unique<httplib::ClientImpl>(url_.host, url_.port);
    }
    connection.http->set_keep_alive(true);
    connection.http->set_tcp_nodelay(true);
    connection.http->set_socket_options([](socket_t socket) {
      httplib::default_socket_options(socket);
      notice_lost_peer(socket);
    });
    connection.http->set_url_encode(false);
    return connection;
  }

  std::unique_ptr<httplib::ClientImpl> connect_tls(const Identity& identity, Connection& connection) const {
    const std::string& verified_name = config_.tls_server_name.empty() ? url_.host : config_.tls_server_name;
    std::vector<CertificatePtr> chain;
    KeyPtr key;
    if (!identity.client_certificate.empty()) {
      chain = parse_certificates(identity.client_certificate, "client certificate of " + config_.origin);
      key = parse_private_key(identity.client_key, "client key of " + config_.origin);
    }
    auto client = chain.empty() ? std::make_unique<httplib::SSLClient>(verified_name, url_.port)
                                : std::make_unique<httplib::SSLClient>(verified_name, url_.port,
                                                                       chain[0].get(), key.get());
    if (!client->is_valid()) {
      throw TransportError("the client certificate and key do not fit together", config_.origin);
    }
    for (std::size_t i = 1; i < chain.size(); ++i)
      SSL_CTX_add1_chain_cert(client->ssl_context(), chain[i].get());
    if (verified_name != url_.host) client->set_hostname_addr_map({{verified_name, url_.host}});
    client->enable_server_certificate_verification(true);
    if (!roots_.empty()) {
      X509_STORE* store = SSL_CTX_get_cert_store(client->ssl_context());
      for (const auto& root : roots_) X509_STORE_add_cert(store, root.get());
      // Without a path of its own httplib would trust the system's roots besides; an empty directory adds
      // none.
      client->set_ca_cert_path({}, "/nonexistent");
    }
    connection.tls = client.get();
    return client;
  }

  Connection take(const Identity& identity) {
    {
      const std::lock_guard lock(mutex_);
      const Clock::time_point oldest = Clock::now() - kLongestIdle;
      std::erase_if(idle_, [&](const Connection& c) {
        return c.generation != identity.generation || c.idle_since < oldest;
      });
      if (!idle_.empty()) {
        Connection connection = std::move(idle_.back());
        idle_.pop_back();
        return connection;
      }
    }
    return connect(identity);
  }

  void give_back(Connection connection) {
    connection.used = true;
    connection.idle_since = Clock::now();
    const std::lock_guard lock(mutex_);
    if (idle_.size() < kIdleConnections) idle_.push_back(std::move(connection));
  }

  void drop_idle() {
    const std::lock_guard lock(mutex_);
    idle_.clear();
  }

  [[noreturn]] void fail(const Connection& connection, httplib::Error error,
                         const HttpRequest& request) const {
    std::string reason = httplib::to_string(error);
    std::string mend = "check that the API server runs and can be reached";
    if (error == httplib::Error::SSLServerVerification && connection.tls != nullptr) {
      const long verdict = connection.tls->get_openssl_verify_result();
      reason = verdict == X509_V_OK ? "the server's certificate is not for this host"
                                    : std::string("the server's certificate is not trusted: ") +
                                          X509_verify_cert_error_string(verdict);
      mend = "check certificate-authority-data and server in " + config_.origin;
    }
    throw TransportError("cannot reach the API server: " + reason,
                         request.method + " " + config_.server + request.path, mend);
  }

  const Config config_;
  const ServerUrl url_;
  Credentials credentials_;
  std::vector<CertificatePtr> roots_;
  std::mutex mutex_;
  std::vector<Connection> idle_;
};

}  // namespace

std::unique_ptr<Transport> make_https_transport(Config config) {
  return std::make_unique<HttpsTransport>(std::move(config));
}

}  // namespace stepdown::kube
