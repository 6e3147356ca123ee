#include "operator/gateway/gateway.h"

#include <random>
#include <set>

#include <boost/asio/post.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/gateway/cluster/verdict_status.h"
#include "operator/gateway/metrics.h"
#include "operator/gateway/state_file.h"

namespace stepdown::gateway {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr std::chrono::milliseconds kPeerPatience{1000};
constexpr std::size_t kLongestPeerMessage = 1U << 20U;

std::uint64_t random_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32U) | device();
}

std::string instance_name(std::uint64_t seed) {
  std::string name = "gateway-";
  for (int digit = 0; digit < 12; ++digit, seed >>= 4U) name += "0123456789abcdef"[seed & 15U];
  return name;
}

Response json_response(int status, const json& body) {
  return {status,
          {{"content-type", "application/json"}},
          body.dump(-1, ' ', false, json::error_handler_t::replace)};
}

Response text_response(int status, std::string text) {
  return {status, {{"content-type", "text/plain"}}, std::move(text)};
}

}  // namespace

// The io_context comes first and so goes last: coroutines still waiting are destroyed with it.
struct Gateway::State {
  State(GatewayOptions o, std::unique_ptr<RouteSource> route_source,
        std::unique_ptr<VerdictSink> verdict_sink);

  Task<> handle(Exchange& exchange);
  Response answer_itself(const std::string& method, const std::string& path);
  Task<> ask_peers();
  Task<> ask_peer(Address peer);
  Task<> tell();
  Task<> drain();
  void follow(Snapshot snapshot);
  bool ready() const;
  json route() const;

  GatewayOptions options;
  std::uint64_t seed = random_seed();
  StateFile file;
  asio::io_context io{1};
  Metrics metrics;
  Snapshot snapshot;
  std::uint64_t kept_changes = 0;
  bool stopping = false;
  std::set<Address> asking;  // peers whose answer is awaited
  std::shared_ptr<Upstreams> upstreams;
  Traffic traffic;
  std::shared_ptr<Proxy> proxy;
  HttpClient peer_client;
  HttpServer server;
  std::unique_ptr<VerdictSink> sink;
  std::unique_ptr<RouteSource> source;
};

Gateway::State::State(GatewayOptions o, std::unique_ptr<RouteSource> route_source,
                      std::unique_ptr<VerdictSink> verdict_sink)
    : options(std::move(o)),
      file(options.state_dir),
      upstreams(std::make_shared<Upstreams>(io, options.upstreams)),
      traffic(instance_name(seed), [u = upstreams](const std::string& digest) { return u->reach(digest); }),
      proxy(std::make_shared<Proxy>(io, traffic, upstreams, metrics, options.proxy, seed)),
      peer_client(io, {}),
      server(io, options.listen, options.http, [this](Exchange& exchange) { return handle(exchange); }),
      sink(std::move(verdict_sink)),
      source(std::move(route_source)) {
  if (std::optional<Snapshot> kept = file.load()) {
    traffic.remember(kept->trips);
    follow(std::move(*kept));
  }
}

void Gateway::State::follow(Snapshot next) {
  snapshot = std::move(next);
  upstreams->follow(snapshot.rollout, snapshot.endpoints);
  traffic.remember(snapshot.trips);
  traffic.follow(snapshot.rollout, system_clock::now());
  file.save(snapshot, traffic.trips());
}

bool Gateway::State::ready() const {
  const Split split = traffic.split();
  return !stopping && (upstreams->usable(split.fp16_digest) || split.stable > 0);
}

json Gateway::State::route() const {
  const Split split = traffic.split();
  const Rollout& rollout = traffic.rollout();
  json arms = json::object();
  for (const Arm arm : {Arm::kCandidate, Arm::kStable, Arm::kFp16}) {
    if (split.digest(arm).empty()) continue;
    arms[name(arm)] = {{"digest", split.digest(arm)},
                       {"share", split.of(arm)},
                       {"reachable", upstreams->usable(split.digest(arm))}};
  }
  return {{"instance", traffic.instance()},
          {"epoch", rollout.epoch},
          {"arms", std::move(arms)},
          {"tripsKnown", traffic.known()},
          {"trips", to_json(traffic.trips())},
          {"inFlight", proxy->in_flight()},
          {"status", verdict_status(traffic, snapshot.generation, system_clock::now())}};
}

Task<> Gateway::State::handle(Exchange& exchange) {
  const Request& request = exchange.request();
  const std::string method =
      request.method == "HEAD" ? "GET" : request.method;  // the server leaves out the body
  const std::string path = request.target.substr(0, request.target.find('?'));
  const bool chat = path == "/v1/chat/completions";
  if (method == "POST" && (chat || path == "/v1/completions")) {
    co_await proxy->complete(exchange, chat);
  } else if ((method == "GET" && (path == "/v1/models" || path.starts_with("/v1/models/"))) ||
             (method == "POST" && path == "/v1/embeddings")) {
    co_await proxy->forward(exchange);
  } else {
    Response response = answer_itself(method, path);
    co_await exchange.respond(std::move(response));
  }
}

Response Gateway::State::answer_itself(const std::string& method, const std::string& path) {
  if (path == "/v1/chat/completions" || path == "/v1/completions") {
    return error_response(405, "invalid_request_error", "method_not_allowed", "use POST");
  }
  if (method == "GET") {
    if (path == "/healthz") return text_response(200, "ok\n");
    if (path == "/readyz") {
      return ready() ? text_response(200, "ok\n")
                     : text_response(503, "no engine can be reached that may take all traffic\n");
    }
    if (path == "/route") return json_response(200, route());
    if (path == "/peer") return json_response(200, traffic.message());
    if (path == "/metrics") {
      metrics.in_flight(proxy->in_flight());
      return {200, {{"content-type", "text/plain; version=0.0.4"}}, metrics.expose(traffic)};
    }
  }
  return error_response(
      404, "invalid_request_error", "not_found",
      "no such endpoint: " + method + " " + path +
          "; this gateway has /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models");
}

// Peers are asked rather than told: whoever the EndpointSlices name may be believed, whoever connects may
// not.
Task<> Gateway::State::ask_peers() {
  asio::steady_timer timer(io);
  while (!stopping) {
    timer.expires_after(options.peers_every);
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    const auto found = snapshot.endpoints.find(options.service);
    if (found == snapshot.endpoints.end()) continue;
    for (const Address& peer : found->second) {
      const bool itself = peer.host == options.listen.host && peer.port == server.port();
      if (!itself && asking.insert(peer).second) asio::co_spawn(io, ask_peer(peer), asio::detached);
    }
  }
}

Task<> Gateway::State::ask_peer(Address peer) {
  Request request;
  request.method = "GET";
  request.target = "/peer";
  Outcome<HttpClient::Answer> answer =
      co_await peer_client.send(peer, request, steady_clock::now() + kPeerPatience);
  if (answer && answer.value->status() == 200) {
    const Outcome<std::string> body = co_await answer.value->read_all(kLongestPeerMessage);
    if (body) traffic.hear(json::parse(*body.value, nullptr, false), system_clock::now());
  }
  asking.erase(peer);
}

Task<> Gateway::State::tell() {
  asio::steady_timer timer(io);
  json told;
  while (!stopping) {
    timer.expires_after(options.tell_every);
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    traffic.look_around(system_clock::now());
    if (kept_changes != traffic.changes()) {
      kept_changes = traffic.changes();
      file.save(snapshot, traffic.trips());
    }
    if (traffic.awaits_fp16(system_clock::now())) continue;
    json status = verdict_status(traffic, snapshot.generation, system_clock::now());
    if (status.is_null() || status == told) continue;
    sink->tell(status, essence(status) != essence(told));
    told = std::move(status);
  }
}

Task<> Gateway::State::drain() {
  stopping = true;
  server.drain();
  upstreams->stop();
  asio::steady_timer timer(io);
  const SteadyTime deadline = steady_clock::now() + options.drain;
  while (server.active() > 0 && steady_clock::now() < deadline) {
    timer.expires_after(std::chrono::milliseconds(20));
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  io.stop();
}

Gateway::Gateway(GatewayOptions options, std::unique_ptr<RouteSource> source,
                 std::unique_ptr<VerdictSink> sink)
    : state_(std::make_unique<State>(std::move(options), std::move(source), std::move(sink))) {}

Gateway::~Gateway() {
  state_->source->stop();
}

std::uint16_t Gateway::port() const {
  return state_->server.port();
}

void Gateway::run() {
  State& state = *state_;
  log::info(
      "listening",
      {{"address", state.options.listen.host}, {"port", port()}, {"instance", state.traffic.instance()}});
  asio::co_spawn(state.io, state.ask_peers(), asio::detached);
  asio::co_spawn(state.io, state.tell(), asio::detached);
  asio::co_spawn(state.io, state.upstreams->probe(), asio::detached);
  state.source->start([&state](Snapshot snapshot) {
    asio::post(state.io, [&state, next = std::move(snapshot)]() mutable { state.follow(std::move(next)); });
  });
  state.io.run();
  state.source->stop();
}

void Gateway::stop() {
  asio::post(state_->io, [this] { asio::co_spawn(state_->io, state_->drain(), asio::detached); });
}

}  // namespace stepdown::gateway
