#include "operator/controller/metrics.h"

#include <array>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "engine/base/version.h"

namespace stepdown::controller {
namespace {

const prometheus::Labels kController = {{"controller", "quantizedmodel"}};
const prometheus::Labels kQueue = {{"name", "quantizedmodel"}};
const prometheus::Histogram::BucketBoundaries kSeconds = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5};

prometheus::Labels with(prometheus::Labels labels, const std::string& name, const std::string& value) {
  labels.emplace(name, value);
  return labels;
}

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& reconciles = prometheus::BuildCounter()
                                                            .Name("controller_runtime_reconcile_total")
                                                            .Help("Reconciliations by result")
                                                            .Register(registry);
  std::array<prometheus::Counter*, 3> by_result = {
      &reconciles.Add(with(kController, "result", "success")),
      &reconciles.Add(with(kController, "result", "requeue_after")),
      &reconciles.Add(with(kController, "result", "error"))};
  prometheus::Counter& errors = prometheus::BuildCounter()
                                    .Name("controller_runtime_reconcile_errors_total")
                                    .Help("Reconciliations that failed")
                                    .Register(registry)
                                    .Add(kController);
  prometheus::Histogram& seconds = prometheus::BuildHistogram()
                                       .Name("controller_runtime_reconcile_time_seconds")
                                       .Help("Seconds a reconciliation took")
                                       .Register(registry)
                                       .Add(kController, kSeconds);
  prometheus::Counter& adds = prometheus::BuildCounter()
                                  .Name("workqueue_adds_total")
                                  .Help("Keys added")
                                  .Register(registry)
                                  .Add(kQueue);
  prometheus::Counter& retries = prometheus::BuildCounter()
                                     .Name("workqueue_retries_total")
                                     .Help("Keys that were tried again after a failure")
                                     .Register(registry)
                                     .Add(kQueue);
  prometheus::Gauge& depth = prometheus::BuildGauge()
                                 .Name("workqueue_depth")
                                 .Help("Keys that are due")
                                 .Register(registry)
                                 .Add(kQueue);
  prometheus::Gauge& leader = prometheus::BuildGauge()
                                  .Name("leader_election_master_status")
                                  .Help("1 while this copy leads")
                                  .Register(registry)
                                  .Add({{"name", "stepdown-operator"}});
  prometheus::Gauge& build = prometheus::BuildGauge()
                                 .Name("stepdown_build_info")
                                 .Help("Version of this program")
                                 .Register(registry)
                                 .Add({{"version", std::string(kVersion)}}, 1.0);
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

void Metrics::reconciled(Result result, std::chrono::duration<double> took) {
  state_->by_result[static_cast<std::size_t>(result)]->Increment();
  if (result == Result::kError) state_->errors.Increment();
  state_->seconds.Observe(took.count());
}

void Metrics::added_to_queue() {
  state_->adds.Increment();
}
void Metrics::retried() {
  state_->retries.Increment();
}
void Metrics::leading(bool yes) {
  state_->leader.Set(yes ? 1 : 0);
}

std::string Metrics::text(const kube::WorkQueue& queue) const {
  state_->depth.Set(static_cast<double>(queue.depth()));
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace stepdown::controller
