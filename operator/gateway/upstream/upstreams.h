#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/gateway/http/client.h"
#include "operator/gateway/route/traffic.h"
#include "operator/gateway/upstream/fleet.h"
#include "operator/gateway/upstream/gate.h"

namespace stepdown::gateway {

/// Ready addresses by Service, from EndpointSlices.
using Endpoints = std::map<std::string, std::vector<Address>>;

/// Requests to the engines of each revision: picks the endpoint, bounds what is under way, tries another
/// endpoint when one cannot be reached before it answered anything, or answers that it takes no work (503).
class Upstreams : public std::enable_shared_from_this<Upstreams> {
 public:
  static constexpr int kUnavailable = 503;
  struct Limits {
    std::size_t per_endpoint = 64;  ///< requests under way
    std::size_t waiting = 1024;     ///< a revision
    HttpClient::Limits http;
  };
  Upstreams(asio::io_context& io, Limits limits);

  void follow(const Rollout& rollout, const Endpoints& endpoints);
  Reachable reach(const std::string& digest) const;
  bool usable(const std::string& digest) const { return reach(digest) == Reachable::kYes; }

  /// An answer under way, and what it holds: room at the gate, a place at the endpoint.
  struct Call {
    HttpClient::Answer answer;
    std::shared_ptr<void> held;
    Address endpoint;
    SteadyTime sent;
  };
  struct Failure {
    enum class Kind { kNoRoom, kNoEndpoint, kNet, kGivenUp };
    Kind kind = Kind::kNet;
    NetError net;
    bool new_incident = true;  ///< false: of a crash that was counted already
  };
  struct Reply {
    std::optional<Call> call;
    Failure failure;

    /// Every endpoint that could be reached takes no work.
    bool unavailable() const { return call && call->answer.status() == kUnavailable; }
  };
  /// Waits for the header of the answer. `gone` ends all that is done for the request at once.
  Task<Reply> send(std::string digest, const Request& request, Priority priority, SteadyTime deadline,
                   std::stop_token gone = {});
  /// An answer that broke after its header: sets the endpoint apart. False: of a crash that was counted
  /// already.
  bool broke(const std::string& digest, const Call& call, const NetError& error);

  /// Asks /readyz of endpoints set apart, until `stop`.
  Task<> probe();
  void stop() { stopped_ = true; }

 private:
  struct Revision {
    Fleet fleet;
    std::shared_ptr<Gate> gate;
  };
  Task<> probe_one(std::string digest, Address address);

  asio::io_context& io_;
  Limits limits_;
  HttpClient http_;
  std::map<std::string, std::shared_ptr<Revision>> revisions_;
  bool stopped_ = false;
};

}  // namespace stepdown::gateway
