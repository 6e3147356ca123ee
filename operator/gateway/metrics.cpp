#include "operator/gateway/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace stepdown::gateway {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Histogram;

std::string digest12(const std::string& digest) {
  const std::size_t begin = digest.starts_with("sha256:") ? 7 : 0;
  return digest.substr(begin, 12);
}

const Histogram::BucketBoundaries kSeconds = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                              1,     2.5,  5,     10,   30,  60,   120};

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests = BuildCounter()
                                                          .Name("stepdown_gateway_requests_total")
                                                          .Help("Requests answered to clients")
                                                          .Register(registry);
  prometheus::Family<Histogram>& seconds = BuildHistogram()
                                               .Name("stepdown_gateway_request_seconds")
                                               .Help("Time until the answer was complete, retries included")
                                               .Register(registry);
  prometheus::Family<prometheus::Counter>& faults = BuildCounter()
                                                        .Name("stepdown_gateway_faults_total")
                                                        .Help("Answers of engines that were judged bad")
                                                        .Register(registry);
  prometheus::Family<prometheus::Counter>& retries =
      BuildCounter()
          .Name("stepdown_gateway_retries_total")
          .Help("Requests answered by FP16 in place of another")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& tainted =
      BuildCounter()
          .Name("stepdown_gateway_tainted_answers_total")
          .Help("Streams found degenerate after text had been released")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& failed =
      BuildCounter()
          .Name("stepdown_gateway_failed_streams_total")
          .Help("Streams that ended in an error for their client")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& shadows = BuildCounter()
                                                         .Name("stepdown_gateway_shadow_pairs_total")
                                                         .Help("Answers compared with FP16's")
                                                         .Register(registry);
  prometheus::Family<prometheus::Counter>& disagreement =
      BuildCounter()
          .Name("stepdown_gateway_shadow_disagreement_sum")
          .Help("Sum of the disagreement of shadow pairs, each in [0, 1]")
          .Register(registry);
  prometheus::Family<prometheus::Gauge>& share = BuildGauge()
                                                     .Name("stepdown_gateway_share")
                                                     .Help("Share of new traffic each route gets now")
                                                     .Register(registry);
  prometheus::Family<prometheus::Gauge>& tripped = BuildGauge()
                                                       .Name("stepdown_gateway_tripped_revisions")
                                                       .Help("Revisions that are never routed until retry")
                                                       .Register(registry);
  prometheus::Family<prometheus::Gauge>& open =
      BuildGauge().Name("stepdown_gateway_in_flight").Help("Requests being answered").Register(registry);
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::answered(Arm arm, const std::string& digest, int status, std::chrono::nanoseconds took) {
  const std::string route(name(arm));
  state_->requests.Add({{"route", route}, {"revision", digest12(digest)}, {"code", std::to_string(status)}})
      .Increment();
  state_->seconds.Add({{"route", route}}, kSeconds).Observe(std::chrono::duration<double>(took).count());
}

void Metrics::fault(Arm arm, const std::string& digest, Fault fault) {
  state_->faults
      .Add({{"route", std::string(name(arm))},
            {"revision", digest12(digest)},
            {"fault", std::string(gateway::name(fault))}})
      .Increment();
}

void Metrics::retried(std::string_view reason) {
  state_->retries.Add({{"reason", std::string(reason)}}).Increment();
}

void Metrics::tainted(const std::string& digest) {
  state_->tainted.Add({{"revision", digest12(digest)}}).Increment();
}

void Metrics::failed_stream(const std::string& digest) {
  state_->failed.Add({{"revision", digest12(digest)}}).Increment();
}

void Metrics::shadowed(const std::string& digest, double disagreement) {
  state_->shadows.Add({{"revision", digest12(digest)}}).Increment();
  state_->disagreement.Add({{"revision", digest12(digest)}}).Increment(disagreement);
}

void Metrics::in_flight(std::size_t requests) {
  state_->open.Add({}).Set(static_cast<double>(requests));
}

std::string Metrics::expose(const Traffic& traffic) {
  const Split split = traffic.split();
  for (const Arm arm : {Arm::kCandidate, Arm::kStable, Arm::kFp16}) {
    state_->share.Add({{"route", std::string(name(arm))}}).Set(split.of(arm));
  }
  state_->tripped.Add({}).Set(static_cast<double>(traffic.trips().all().size()));
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace stepdown::gateway
