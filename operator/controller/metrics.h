#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "operator/controller/reconciler.h"
#include "operator/kube/work_queue.h"

namespace stepdown::controller {

/// Metrics under the names that dashboards for controller-runtime know. Safe from any thread.
class Metrics {
 public:
  Metrics();
  ~Metrics();

  enum class Result { kSuccess, kRequeueAfter, kError };
  void reconciled(Result result, std::chrono::duration<double> took);
  void added_to_queue();
  void retried();
  void leading(bool yes);

  /// The text exposition format.
  std::string text(const kube::WorkQueue& queue) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::controller
