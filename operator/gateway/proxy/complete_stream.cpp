#include "operator/gateway/proxy/requests.h"
#include "operator/gateway/proxy/stream_relay.h"

namespace stepdown::gateway {
namespace {

using std::chrono::steady_clock;

std::string dump(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

// The first engine feeds the stream. When it fails before anything was shown, FP16 answers from the start;
// when it fails later, FP16 goes on after the text that was shown; what was degenerate is only told to the
// verdict.
Task<> Proxy::complete_stream(Exchange& exchange, Job& job) {
  StreamRelay relay(*this, exchange, job);
  StreamRelay::Source first{
      job.assignment.arm, job.assignment.digest, job.client.body, Priority::kFirst, 1, {}};
  if (job.quantized()) first.held_chunks = limits_.held_chunks;
  StreamRelay::End end = co_await relay.feed(first);
  job.ms = ms_since(job.started) - relay.blocked_ms();
  Asked told = end.refusal.value_or(Asked{});
  if (job.gone.stop_requested() && !relay.released()) given_up(job);
  if (end.client_gone) {
    answered(job, job.assignment.arm, kClientGone, {});
    co_return;
  }
  if (end.refusal && told.judgement.undecided() && !job.quantized()) {
    co_await answer(exchange, job, told, job.assignment.arm, {});
    co_return;
  }
  const bool refused = end.refusal && told.judgement.undecided() && told.judgement.status != 429;
  if (end.complete) {
    answered(job, job.assignment.arm, 200, {});
    if (end.fault == Fault::kNone) {
      report(job, told, Fault::kNone, false);
      if (!job.quantized()) control_.add(end.mean_logprob);
      if (job.quantized() && draw_shadow(job)) asio::co_spawn(io_, shadow(job, relay.text()), asio::detached);
      co_return;
    }
    if (end.fault != Fault::kTruncated) metrics_.tainted(job.assignment.digest);
    if (job.quantized()) {
      job.record.fault = end.fault;
      if (verifications_ < limits_.shadows) asio::co_spawn(io_, verify(job, end.fault), asio::detached);
    } else {
      report(job, told, end.fault, false);
    }
    co_return;
  }

  const std::string_view reason = refused                     ? name(Fault::kRefused)
                                  : end.fault == Fault::kNone ? kOverloaded
                                                              : name(end.fault);
  StreamRelay::Source second{Arm::kFp16, traffic_.rollout().fp16(), job.client.body, Priority::kRetry, 1,
                             reason};
  job.deadline = job.started + limits_.request;
  bool possible = true;
  if (relay.released()) {
    const auto next = continuation(job.body, job.expected, relay.text(), relay.tokens());
    possible = next.has_value();
    if (possible) second.body = dump(*next);
  }
  StreamRelay::End rest;
  rest.fault = end.fault;
  if (possible) rest = co_await relay.feed(second);
  if (refused && !rest.complete && !rest.client_gone && !relay.released()) {  // the client's own mistake
    co_await answer(exchange, job, told, job.assignment.arm, {});
    co_return;
  }
  if (refused && rest.complete && rest.fault == Fault::kNone)
    end.fault = told.judgement.fault = Fault::kRefused;
  if (end.fault != Fault::kNone) report(job, told, end.fault, rest.complete && rest.fault == Fault::kNone);
  if (rest.complete || rest.client_gone) {
    answered(job, Arm::kFp16, rest.complete ? 200 : kClientGone, reason);
    co_return;
  }
  if (relay.released()) {
    metrics_.failed_stream(job.assignment.digest);
    answered(job, Arm::kFp16, 502, {});
    co_await relay.fail("the answer broke off and could not be continued; ask again");
    co_return;
  }
  Asked last = rest.refusal.value_or(Asked{});
  if (last.response.status < 300) {
    last.response = error_response(502, "server_error", "engine_lost", "the engines broke off; try again");
  }
  co_await answer(exchange, job, std::move(last), Arm::kFp16, reason);
}

}  // namespace stepdown::gateway
