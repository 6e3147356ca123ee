#include "operator/gateway/proxy/proxy.h"

#include "engine/base/log.h"
#include "operator/gateway/count.h"
#include "operator/gateway/judge/member.h"
#include "operator/gateway/proxy/requests.h"

namespace stepdown::gateway {
namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

constexpr std::size_t kLongestLogged = 256;

Response busy() {
  Response response =
      error_response(429, "overloaded_error", "overloaded", "all engines are busy; try again");
  response.headers.push_back({"retry-after", "1"});
  return response;
}

std::string random_id(std::mt19937_64& random) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string id = "req-";
  for (int i = 0; i < 2; ++i) {
    std::uint64_t bits = random();
    for (int digit = 0; digit < 12; ++digit, bits >>= 4U) id += kHex[bits & 15U];
  }
  return id;
}

Fault fault_of(const NetError& error) {
  return error.kind == NetError::Kind::kTimeout ? Fault::kTimeout : Fault::kConnection;
}

}  // namespace

Proxy::Proxy(asio::io_context& io, Traffic& traffic, std::shared_ptr<Upstreams> upstreams, Metrics& metrics,
             Limits limits, std::uint64_t seed)
    : io_(io),
      traffic_(traffic),
      upstreams_(std::move(upstreams)),
      metrics_(metrics),
      limits_(limits),
      random_(seed) {}

Task<> Proxy::complete(Exchange& exchange, bool chat) {
  const auto self = shared_from_this();
  Job job;
  job.client = exchange.request();
  job.gone = exchange.gone();
  job.started = steady_clock::now();
  job.trace = trace_context(job.client.headers, random_);
  job.id = std::string(find_header(job.client.headers, "x-request-id"));
  if (job.id.empty()) job.id = random_id(random_);
  co_await admit(exchange, job, chat);
  log_access(job);
}

Task<> Proxy::admit(Exchange& exchange, Job& job, bool chat) {
  if (in_flight_ >= limits_.in_flight) {
    job.record.status = 429;
    co_await exchange.respond(busy());
    co_return;
  }
  const Counted counted(in_flight_);
  if (!nests_too_deep(job.client.body))
    job.body = nlohmann::ordered_json::parse(job.client.body, nullptr, false);
  if (!job.body.is_object()) {
    job.record.status = 400;
    co_await exchange.respond(
        error_response(400, "invalid_request_error", "invalid_json",
                       "the body is not a JSON object of sane depth; send application/json"));
    co_return;
  }
  job.expected = expect(job.body, chat, languages_);
  job.deadline = job.started + limits_.request / 2;
  const std::string session(find_header(job.client.headers, "x-session-id"));
  job.assignment = traffic_.assign(job.id, session, system_clock::now());
  if (job.expected.stream && job.expected.choices == 1) {
    co_await complete_stream(exchange, job);
  } else {
    co_await complete_whole(exchange, job);
  }
}

Task<> Proxy::complete_whole(Exchange& exchange, Job& job) {
  if (job.expected.stream) {
    job.record.status = 400;
    co_await exchange.respond(error_response(400, "invalid_request_error", "unsupported_parameter",
                                             "n > 1 cannot be streamed; leave out one of both"));
    co_return;
  }
  Asked first = co_await ask(job, job.assignment.digest, Priority::kFirst, job.client.body);
  job.ms = ms_since(job.started);
  if (first.given_up) given_up(job);
  if (!job.quantized()) {
    report(job, first, first.judgement.fault, false);
    if (first.judgement.passed()) learn_control(first.judgement);
    if (first.unreachable) {
      Asked again = co_await ask_fp16_again(job);
      if (!again.unreachable) first = std::move(again);
    }
    co_await answer(exchange, job, std::move(first), Arm::kFp16, {});
    co_return;
  }
  const bool unsure =
      first.judgement.passed() && first.judgement.confidence() < traffic_.rollout().min_confidence;
  if (first.judgement.passed() && !unsure) {
    report(job, first, Fault::kNone, false);
    if (draw_shadow(job)) asio::co_spawn(io_, shadow(job, first.judgement.text), asio::detached);
    co_await answer(exchange, job, std::move(first), job.assignment.arm, {});
    co_return;
  }
  const bool refused = first.judgement.undecided() && first.judgement.status != 429;
  Asked second = co_await ask_fp16_again(job);
  if (refused && !second.judgement.passed()) {  // the client's own mistake, as far as one can tell
    co_await answer(exchange, job, std::move(first), job.assignment.arm, {});
    co_return;
  }
  if (refused) first.judgement.fault = Fault::kRefused;
  const Fault fault = first.judgement.fault;
  const std::string_view reason = unsure ? kLowConfidence : fault == Fault::kNone ? kOverloaded : name(fault);
  if (unsure || fault != Fault::kNone) report(job, first, fault, second.judgement.passed());
  if (unsure && !second.judgement.passed() && !second.given_up) {
    co_await answer(exchange, job, std::move(first), job.assignment.arm, {});
  } else {
    co_await answer(exchange, job, std::move(second), Arm::kFp16, reason);
  }
}

Task<Asked> Proxy::ask_fp16_again(Job& job) {
  job.deadline = job.started + limits_.request;
  Asked asked = co_await ask(job, traffic_.rollout().fp16(), Priority::kRetry, job.client.body);
  if (asked.unreachable)
    asked = co_await ask(job, traffic_.rollout().fp16(), Priority::kRetry, job.client.body);
  co_return asked;
}

Request Proxy::hop(Job& job, const std::string& digest, std::string body) {
  const std::string span = random_span_id(random_);
  job.record.hops.push_back({digest, span});
  return to_engine(job.client, job.id, job.trace, span, std::move(body));
}

Task<Upstreams::Reply> Proxy::reach(const Job& job, std::string digest, const Request& request,
                                    Priority priority) {
  constexpr std::chrono::milliseconds kTurn{100};
  const SteadyTime patience = std::min<SteadyTime>(job.deadline, steady_clock::now() + limits_.fp16_restart);
  asio::steady_timer timer(io_);
  for (;;) {
    Upstreams::Reply reply = co_await upstreams_->send(digest, request, priority, job.deadline, job.gone);
    const bool unreached = !reply.call && (reply.failure.kind == Upstreams::Failure::Kind::kNoEndpoint ||
                                           (reply.failure.kind == Upstreams::Failure::Kind::kNet &&
                                            reply.failure.net.kind == NetError::Kind::kConnect));
    const bool nobody = unreached || reply.unavailable();
    const bool waits = nobody && digest == traffic_.rollout().fp16() && priority != Priority::kShadow &&
                       !job.gone.stop_requested() && steady_clock::now() + kTurn < patience;
    if (!waits) co_return reply;
    if (unreached) note_missing(digest, reply.failure);
    reply.call.reset();  // its place at the gate is free while this waits
    boost::system::error_code ignored;
    timer.expires_after(kTurn);
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

Task<Asked> Proxy::ask(Job& job, std::string digest, Priority priority, std::string body) {
  const Request request = hop(job, digest, std::move(body));
  Upstreams::Reply reply = co_await reach(job, digest, request, priority);
  if (!reply.call) {
    if (priority != Priority::kShadow) note_missing(digest, reply.failure);
    co_return no_answer(reply.failure);
  }
  co_return co_await read_whole(job, digest, *reply.call);
}

Task<Asked> Proxy::read_whole(const Job& job, const std::string& digest, Upstreams::Call& call) {
  Outcome<std::string> content = co_await call.answer.read_all(limits_.answer);
  if (!content) {
    Upstreams::Failure failure;
    failure.net = content.error;
    if (content.error.kind == NetError::Kind::kGivenUp) {
      failure.kind = Upstreams::Failure::Kind::kGivenUp;
    } else {
      failure.new_incident = upstreams_->broke(digest, call, content.error);
    }
    co_return no_answer(failure);
  }
  Asked asked;
  asked.response.status = call.answer.status();
  asked.response.body = std::move(*content.value);
  for (const char* name : {"content-type", "retry-after", "x-stepdown-revision"}) {
    const std::string_view value = find_header(call.answer.headers(), name);
    if (!value.empty()) asked.response.headers.push_back({name, std::string(value)});
  }
  asked.judgement = judge_answer(asked.response.status, asked.response.body, job.expected, control_);
  co_return asked;
}

void Proxy::note_missing(const std::string& digest, const Upstreams::Failure& failure) {
  const bool none = failure.kind == Upstreams::Failure::Kind::kNoEndpoint;
  if (none && digest == traffic_.rollout().fp16()) traffic_.fp16_missed(system_clock::now());
}

Asked Proxy::no_answer(const Upstreams::Failure& failure) const {
  Asked asked;
  asked.counts = failure.new_incident;
  switch (failure.kind) {
    case Upstreams::Failure::Kind::kNoRoom:
      asked.response = busy();
      asked.judgement.status = asked.response.status;
      return asked;
    case Upstreams::Failure::Kind::kGivenUp:
      asked.given_up = true;
      asked.judgement.status = kClientGone;
      return asked;
    case Upstreams::Failure::Kind::kNoEndpoint:
      asked.response = error_response(503, "server_error", "no_engine", "no engine is ready; try again");
      asked.response.headers.push_back({"retry-after", "2"});
      asked.judgement.fault = Fault::kConnection;
      break;
    case Upstreams::Failure::Kind::kNet:
      asked.judgement.fault = fault_of(failure.net);
      asked.judgement.detail = failure.net.what;
      asked.response =
          asked.judgement.fault == Fault::kTimeout
              ? error_response(504, "server_error", "timeout", "no engine answered in time")
              : error_response(502, "server_error", "engine_lost", "the engine broke off; try again");
      break;
  }
  asked.judgement.status = asked.response.status;
  asked.unreachable = asked.judgement.fault == Fault::kConnection;
  return asked;
}

Task<> Proxy::answer(Exchange& exchange, Job& job, Asked asked, Arm arm, std::string_view retried) {
  if (job.gone.stop_requested()) {
    answered(job, arm, kClientGone, retried);
    co_return;
  }
  Response response = std::move(asked.response);
  response.headers.push_back({"x-request-id", job.id});
  response.headers.push_back({"x-stepdown-route", std::string(name(arm))});
  if (!retried.empty()) response.headers.push_back({"x-stepdown-retried", std::string(retried)});
  answered(job, arm, response.status, retried);
  co_await exchange.respond(std::move(response));
}

void Proxy::answered(Job& job, Arm arm, int status, std::string_view retried) {
  const std::string digest = arm == Arm::kFp16 ? traffic_.rollout().fp16() : job.assignment.digest;
  if (!retried.empty()) metrics_.retried(retried);
  metrics_.answered(arm, digest, status, steady_clock::now() - job.started);
  job.record.arm = arm;
  job.record.revision = digest;
  job.record.status = status;
  job.record.retried = std::string(retried);
  job.record.escalated = retried == kLowConfidence;
}

void Proxy::log_access(Job& job) {
  AccessRecord& record = job.record;
  record.sampled = job.trace.sampled();
  if (!wanted(record, limits_.access_log, std::uniform_real_distribution<>()(random_))) return;
  record.request_id = job.id.substr(0, kLongestLogged);
  record.trace_id = job.trace.trace_id;
  record.stream = job.expected.stream;
  record.ms = ms_since(job.started);
  const auto& model = member(job.body, "model");
  if (model.is_string()) record.model = model.get<std::string>().substr(0, kLongestLogged);
  log::info("request", to_json(record));
}

void Proxy::learn_control(const Judgement& judgement) {
  control_.add(judgement.mean_logprob);
}

void Proxy::report(Job& job, const Asked& first, Fault fault, bool fp16_passed) {
  job.record.fault = fault;
  if (fault != Fault::kNone) metrics_.fault(job.assignment.arm, job.assignment.digest, fault);
  if (!first.counts || first.judgement.undecided()) return;
  traffic_.answered(job.assignment, {fault, fp16_passed, job.ms}, system_clock::now());
}

Task<> Proxy::forward(Exchange& exchange) {
  const auto self = shared_from_this();
  Job job;
  job.client = exchange.request();
  if (job.client.method == "HEAD") job.client.method = "GET";  // the server leaves out the body
  job.gone = exchange.gone();
  job.trace = trace_context(job.client.headers, random_);
  job.started = steady_clock::now();
  job.deadline = job.started + limits_.request;
  job.id = random_id(random_);
  job.assignment = traffic_.assign(job.id, {}, system_clock::now());
  const std::string fp16 = traffic_.rollout().fp16();
  const bool to_fp16 = upstreams_->usable(fp16) || job.assignment.arm == Arm::kFp16;
  const std::string digest = to_fp16 ? fp16 : job.assignment.digest;
  Asked asked = co_await ask(job, digest, Priority::kFirst, job.client.body);
  co_await answer(exchange, job, std::move(asked), to_fp16 ? Arm::kFp16 : job.assignment.arm, {});
}

}  // namespace stepdown::gateway
