#include "operator/webhook/server.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include <httplib.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "engine/base/error.h"
#include "engine/base/http_framing.h"
#include "engine/base/listen.h"

namespace stepdown::webhook {
namespace {

constexpr std::size_t kLargestReview = 8 << 20;  // two objects of etcd's largest size, and then some
constexpr int kThreads =
    64;  // a connection holds one while it is open: a few slow ones must not close the door
constexpr std::size_t kReviewsAConnection = 1'000'000;  // httplib's own 5 would cost a handshake for each

/// A certificate as OpenSSL holds it; handshakes that began with it keep it alive.
struct Identity {
  std::shared_ptr<X509> certificate;
  std::shared_ptr<EVP_PKEY> key;
};

std::shared_ptr<const Identity> read(const pki::KeyPair& pair) {
  const auto reader = [](const std::string& text) {
    return std::unique_ptr<BIO, decltype(&BIO_free)>(
        BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
  };
  auto out = std::make_shared<Identity>();
  out->certificate.reset(PEM_read_bio_X509(reader(pair.certificate).get(), nullptr, nullptr, nullptr),
                         X509_free);
  out->key.reset(PEM_read_bio_PrivateKey(reader(pair.key).get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  if (!out->certificate || !out->key) throw InputError("not a PEM certificate and key", "webhook");
  return out;
}

}  // namespace

struct Server::State {
  explicit State(const Reviewer& reviewer) : server([this](SSL_CTX& context) { return prepare(context); }) {
    serve_by<httplib::ThreadPool>(server, kThreads);
    server.set_payload_max_length(kLargestReview);
    refuse_unclear_framing(server);
    server.set_keep_alive_max_count(kReviewsAConnection);
    server.set_tcp_nodelay(true);  // else the body waits 40 ms for the header's acknowledgement
    // httplib's own options would let two programs share the port.
    server.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    server.Post("/validate", [this, reviewer](const httplib::Request& request, httplib::Response& response) {
      const Answer answer = reviewer(request.body);
      response.status = answer.status;
      response.set_content(answer.body, answer.status == 200 ? "application/json" : "text/plain");
      if (leaving) response.set_header("Connection", "close");
    });
  }

  bool prepare(SSL_CTX& context) {
    SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION);
    SSL_CTX_set_cert_cb(&context, &State::present, this);
    return true;
  }

  /// OpenSSL asks this in each handshake, so a new certificate needs no new listener.
  static int present(SSL* connection, void* self) {
    const auto identity = static_cast<State*>(self)->current();
    return identity != nullptr && SSL_use_certificate(connection, identity->certificate.get()) == 1 &&
                   SSL_use_PrivateKey(connection, identity->key.get()) == 1
               ? 1
               : 0;
  }

  std::shared_ptr<const Identity> current() {
    const std::lock_guard lock(mutex);
    return identity;
  }

  std::atomic<bool> leaving = false;
  std::mutex mutex;
  std::shared_ptr<const Identity> identity;
  httplib::SSLServer server;
  Listener<httplib::SSLServer> listener{server};
  int port = 0;
  std::jthread thread;
};

Server::Server(int port, const Reviewer& reviewer) : state_(std::make_unique<State>(reviewer)) {
  httplib::SSLServer& server = state_->server;
  state_->port = bind_everywhere(server, port);
  if (state_->port == 0) {
    throw InputError("cannot listen on port " + std::to_string(port), "--webhook-port",
                     "give a port that is free");
  }
  state_->thread = std::jthread([state = state_.get()] { state->listener.run(); });
}

Server::~Server() {
  state_->listener.stop();
}

void Server::use(const pki::KeyPair& certificate) {
  auto next = read(certificate);
  const std::lock_guard lock(state_->mutex);
  state_->identity = std::move(next);
}

void Server::leave() {
  state_->leaving = true;
}

int Server::port() const {
  return state_->port;
}

}  // namespace stepdown::webhook
