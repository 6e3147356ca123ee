#include "operator/gateway/upstream/upstreams.h"

#include <algorithm>
#include <set>

namespace stepdown::gateway {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kProbeEvery{200};
constexpr std::chrono::milliseconds kProbePatience{1000};

}  // namespace

Upstreams::Upstreams(asio::io_context& io, Limits limits)
    : io_(io), limits_(limits), http_(io, limits.http) {}

void Upstreams::follow(const Rollout& rollout, const Endpoints& endpoints) {
  std::set<std::string> wanted;
  for (const Backend& backend : rollout.backends) {
    wanted.insert(backend.digest);
    auto& revision = revisions_[backend.digest];
    if (!revision) {
      revision = std::make_shared<Revision>();
      revision->gate = std::make_shared<Gate>(io_, limits_.waiting);
    }
    const auto found = endpoints.find(backend.service);
    revision->fleet.set_addresses(found == endpoints.end() ? std::vector<Address>{} : found->second);
    revision->gate->set_room(limits_.per_endpoint * std::max<std::size_t>(1, revision->fleet.size()));
  }
  std::erase_if(revisions_, [&](const auto& entry) { return !wanted.contains(entry.first); });
}

Reachable Upstreams::reach(const std::string& digest) const {
  const auto found = revisions_.find(digest);
  if (found == revisions_.end() || found->second->fleet.empty()) return Reachable::kNone;
  return found->second->fleet.healthy() ? Reachable::kYes : Reachable::kNo;
}

Task<Upstreams::Reply> Upstreams::send(std::string digest, const Request& request, Priority priority,
                                       SteadyTime deadline, std::stop_token gone) {
  Failure failure{Failure::Kind::kNoEndpoint, {}, false};
  const auto found = revisions_.find(digest);
  if (found == revisions_.end()) co_return Reply{std::nullopt, failure};
  const std::shared_ptr<Revision> revision = found->second;
  auto pass = std::make_shared<Gate::Pass>();
  *pass = co_await revision->gate->enter(priority, deadline, gone);
  if (!*pass) {
    failure.kind = gone.stop_requested() ? Failure::Kind::kGivenUp : Failure::Kind::kNoRoom;
    co_return Reply{std::nullopt, failure};
  }

  std::vector<Address> tried;
  std::optional<Reply> unavailable;
  while (const std::optional<Address> to = revision->fleet.pick(tried, tried.empty())) {
    tried.push_back(*to);
    const SteadyTime sent = steady_clock::now();
    revision->fleet.started(*to);
    // Dropped with the call, however it ends.
    std::shared_ptr<void> held(nullptr, [revision, pass, at = *to](void*) { revision->fleet.ended(at); });
    Outcome<HttpClient::Answer> answer = co_await http_.send(*to, request, deadline, gone);
    if (answer) {
      revision->fleet.answered(*to);
      Reply reply;
      reply.call = Call{std::move(*answer.value), std::move(held), *to, sent};
      if (!reply.unavailable()) co_return reply;
      revision->fleet.unavailable(*to);
      unavailable = std::move(reply);
      continue;
    }
    if (answer.error.kind == NetError::Kind::kGivenUp) {
      failure.kind = Failure::Kind::kGivenUp;
      break;
    }
    const bool timeout = answer.error.kind == NetError::Kind::kTimeout;
    const bool refused = answer.error.kind == NetError::Kind::kConnect;
    const bool incident = timeout || revision->fleet.failed(*to, sent, steady_clock::now(), refused);
    failure = {Failure::Kind::kNet, std::move(answer.error), incident || failure.new_incident};
    if (timeout) break;  // the time is up; another endpoint would work on the same for nothing
  }
  if (unavailable) co_return *std::move(unavailable);
  co_return Reply{std::nullopt, failure};
}

bool Upstreams::broke(const std::string& digest, const Call& call, const NetError& error) {
  if (error.kind == NetError::Kind::kTimeout) return true;
  const auto found = revisions_.find(digest);
  return found != revisions_.end() &&
         found->second->fleet.failed(call.endpoint, call.sent, steady_clock::now());
}

Task<> Upstreams::probe() {
  const auto self = shared_from_this();
  asio::steady_timer timer(io_);
  while (!stopped_) {
    timer.expires_after(kProbeEvery);
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    for (const auto& [digest, revision] : revisions_) {
      for (const Address& address : revision->fleet.apart()) {
        asio::co_spawn(io_, probe_one(digest, address), asio::detached);
      }
    }
  }
}

Task<> Upstreams::probe_one(std::string digest, Address address) {
  const auto self = shared_from_this();
  const Request request{"GET", "/readyz", {}, {}};
  Outcome<HttpClient::Answer> answer =
      co_await http_.send(address, request, steady_clock::now() + kProbePatience);
  // An engine without that page, such as vLLM or llama.cpp, says 404: it is there. One that is not ready says
  // 503.
  if (!answer || answer.value->status() >= 500) co_return;
  co_await answer.value->read_all(64UL * 1024);
  const auto found = revisions_.find(digest);
  if (found != revisions_.end()) found->second->fleet.recovered(address);
}

}  // namespace stepdown::gateway
