#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "operator/controller/cache.h"
#include "operator/controller/resources.h"
#include "operator/kube/client.h"
#include "operator/kube/events.h"
#include "operator/rollout/plan.h"

namespace stepdown::controller {

inline constexpr const char* kFieldManager = "stepdown-operator";

/// One QuantizedModel at a time: gathers what the cache holds, makes a plan, carries it out. Level-triggered:
/// it keeps no memory between passes. Safe from several threads for different keys.
class Reconciler {
 public:
  Reconciler(
      kube::Client client, Cache& cache, kube::EventRecorder& events, rollout::Settings settings,
      std::function<api::Time()> now = [] {
        return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
      });

  struct Outcome {
    int writes = 0;
    bool learned = false;  ///< something that is to be looked at, and that the watch will not tell of
    std::optional<std::chrono::milliseconds> look_again;
  };

  /// Carries out all that the server takes. Throws kube::ApiException or kube::TransportError where it
  /// refused something that it may take later, or was not there: try again.
  Outcome reconcile(const kube::ObjectKey& key) const;

 private:
  struct Subject;

  /// What the API server did not take; everything else was carried out.
  struct Refused {
    std::vector<rollout::Obstacle> obstacles;
    std::optional<kube::ApiError> passing;  ///< the first that may go by itself

    void add(const nlohmann::json& object, const kube::ApiError& error);
    void name_taken(const WatchedKind& kind, const nlohmann::json& by);
  };

  int write_finalizers(Subject& subject, const rollout::Plan& plan) const;
  int apply(Subject& subject, const rollout::Plan& plan, Refused& refused) const;
  std::optional<kube::ApiError> apply_again(Subject& subject, const WatchedKind& kind,
                                            const nlohmann::json& object) const;
  std::optional<kube::ApiError> own_as_applied(const WatchedKind& kind, const kube::ObjectKey& key) const;
  int create(Subject& subject, const rollout::Plan& plan, Refused& refused) const;
  /// As the API server has it; null when there is none.
  kube::ObjectPtr live(const WatchedKind& kind, const kube::ObjectKey& key) const;
  int write_status(Subject& subject, const rollout::Plan& plan) const;
  void wrote(Subject& subject, nlohmann::json model) const;
  void learn(Subject& subject, std::string_view kind, nlohmann::json object) const;
  int remove(const Subject& subject, const rollout::Plan& plan) const;
  bool view_is_current(const Subject& subject, const rollout::Plan& plan) const;
  void tell(const Subject& subject, const rollout::Plan& plan) const;

  kube::Client client_;
  Cache& cache_;
  kube::EventRecorder& events_;
  rollout::Settings settings_;
  std::function<api::Time()> now_;
};

}  // namespace stepdown::controller
