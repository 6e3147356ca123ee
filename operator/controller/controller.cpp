#include "operator/controller/controller.h"

#include <atomic>
#include <thread>

#include <malloc.h>
#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/controller/cache.h"
#include "operator/controller/metrics.h"
#include "operator/controller/reconciler.h"
#include "operator/controller/status_server.h"
#include "operator/kube/leader.h"

namespace stepdown::controller {
namespace {

/// Everything that one term of leadership needs: caches, the queue and its workers.
class Term {
 public:
  Term(const kube::Client& client, const Options& options, Metrics& metrics, kube::WorkQueue& queue)
      : metrics_(metrics),
        queue_(queue),
        events_(client, "stepdown.dev/operator", options.identity),
        cache_(
            client, {options.ns, options.engine_profiles, options.nodes, options.settings.leader_worker_sets},
            [this](const kube::ObjectKey& key, bool initial) {
              metrics_.added_to_queue();
              queue_.add(key, initial ? kube::WorkQueue::Priority::kLow : kube::WorkQueue::Priority::kNormal);
            }),
        reconciler_(client, cache_, events_, options.settings),
        workers_(options.workers) {}

  void run(const std::stop_token& stop, std::atomic<bool>& synced) {
    cache_.start();
    std::string told;
    while (!stop.stop_requested() && !cache_.synced()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (const std::string trouble = cache_.trouble(); !trouble.empty() && trouble != told) {
        log::warn("waits for the API server", {{"trouble", trouble}});
        told = trouble;
      }
    }
    malloc_trim(0);  // what the lists were read with
    synced = true;
    std::vector<std::jthread> workers;
    for (int i = 0; i < workers_; ++i) {
      workers.emplace_back([this, stop] {
        while (const auto key = queue_.pop(stop)) work(*key);
      });
    }
    workers.clear();  // joins
    synced = false;
  }

 private:
  void work(const kube::ObjectKey& key) {
    const auto start = std::chrono::steady_clock::now();
    Metrics::Result result = Metrics::Result::kSuccess;
    try {
      const Reconciler::Outcome outcome = reconciler_.reconcile(key);
      queue_.forget(key);
      if (outcome.learned) {
        metrics_.added_to_queue();
        queue_.add(key);
      }
      if (outcome.look_again) {
        queue_.add_after(key, *outcome.look_again);
        result = Metrics::Result::kRequeueAfter;
      }
    } catch (const kube::ApiException& error) {
      // A conflict says that our view was stale: the newer object is on its way.
      if (!error.error().conflict() && !error.error().already_exists()) {
        log::warn("reconcile failed", {{"model", key.text()}, {"error", error.what()}});
        result = Metrics::Result::kError;
      }
      retry(key);
    } catch (const std::exception& error) {
      log::error("reconcile failed", {{"model", key.text()}, {"error", error.what()}});
      result = Metrics::Result::kError;
      retry(key);
    }
    queue_.done(key);
    metrics_.reconciled(result, std::chrono::steady_clock::now() - start);
  }

  void retry(const kube::ObjectKey& key) {
    metrics_.retried();
    queue_.retry(key);
  }

  Metrics& metrics_;
  kube::WorkQueue& queue_;
  kube::EventRecorder events_;
  Cache cache_;
  Reconciler reconciler_;
  int workers_;
};

}  // namespace

void run(const kube::Client& client, const Options& options, std::stop_token stop) {
  Metrics metrics;
  std::atomic<bool> synced{false};
  std::atomic<bool> leading{!options.leader_elect};
  // A rollout waits on every retry, and all retries together are limited besides: no key waits minutes.
  kube::WorkQueue queue{{.longest_delay = std::chrono::seconds(5)}};
  const StatusServer server(options.metrics_address, {[&] { return metrics.text(queue); },
                                                      [&]() -> std::string {
                                                        if (leading && !synced)
                                                          return "caches are not filled yet";
                                                        return options.not_ready ? options.not_ready() : "";
                                                      }});
  const auto lead = [&](std::stop_token term) {
    leading = true;
    metrics.leading(true);
    Term(client, options, metrics, queue).run(term, synced);
    metrics.leading(false);
  };
  if (!options.leader_elect) return lead(stop);
  while (!stop.stop_requested()) {
    leading = false;
    kube::LeaderElector elector(
        client, {.lease = {options.lease_namespace, "stepdown-operator"}, .identity = options.identity});
    log::info("waits for the lease", {{"identity", options.identity}});
    if (!elector.run(stop, lead)) log::warn("the lease was lost", {{"identity", options.identity}});
  }
}

}  // namespace stepdown::controller
