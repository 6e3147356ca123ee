#include "operator/controller/status_server.h"

#include <thread>

#include <httplib.h>

#include "engine/base/error.h"
#include "engine/base/http_framing.h"
#include "engine/base/listen.h"

namespace stepdown::controller {
namespace {

constexpr int kThreads =
    16;  // a connection holds one while it is open: a few slow ones must not delay probes
constexpr std::size_t kLargestBody = 1024;  // nothing here takes one

struct Address {
  std::string host;  ///< empty: every one
  int port = 0;
};

Address parse_address(const std::string& text) {
  const auto colon = text.rfind(':');
  const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
  const bool digits =
      !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string::npos;
  const int number = digits ? std::stoi(port) : -1;
  if (number < 0 || number > 65535)
    throw InputError("not an address: " + text, "--metrics-addr", "give host:port, such as :8080");
  const std::string host = text.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return {bracketed ? host.substr(1, host.size() - 2) : host, number};
}

}  // namespace

struct StatusServer::State {
  int port = 0;
  httplib::Server server;
  Listener<httplib::Server> listener{server};
  std::jthread thread;
};

StatusServer::StatusServer(const std::string& address, const Pages& pages)
    : state_(std::make_unique<State>()) {
  httplib::Server& server = state_->server;
  serve_by<httplib::ThreadPool>(server, kThreads);
  server.set_payload_max_length(kLargestBody);
  refuse_unclear_framing(server);
  server.set_keep_alive_max_count(1);
  server.Get("/healthz", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("ok\n", "text/plain");
  });
  server.Get("/readyz", [pages](const httplib::Request&, httplib::Response& response) {
    const std::string why = pages.not_ready();
    if (!why.empty()) response.status = 503;
    response.set_content(why.empty() ? "ok\n" : why + "\n", "text/plain");
  });
  server.Get("/metrics", [pages](const httplib::Request&, httplib::Response& response) {
    response.set_content(pages.metrics(), "text/plain; version=0.0.4");
  });
  const Address at = parse_address(address);
  state_->port = at.host.empty() ? bind_everywhere(server, at.port) : bind_alone(server, at.host, at.port);
  if (state_->port == 0) {
    throw InputError("cannot listen on " + address, "--metrics-addr", "give an address that is free");
  }
  state_->thread = std::jthread([state = state_.get()] { state->listener.run(); });
}

int StatusServer::port() const {
  return state_->port;
}

StatusServer::~StatusServer() {
  state_->listener.stop();
}

}  // namespace stepdown::controller
