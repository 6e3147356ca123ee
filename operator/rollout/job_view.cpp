#include "operator/rollout/job_view.h"

#include <string_view>

namespace stepdown::rollout {
namespace {

/// How long a Job may be over while its pod's message is not seen yet.
constexpr std::chrono::seconds kMessageDelay{30};

/// A Job's error speaks of its mounts; the user knows their sources.
std::string in_terms_of_spec(std::string text, const api::QuantizedModelSpec& spec) {
  const auto replace = [&](std::string_view mount, const std::string& source) {
    if (source.empty()) return;
    for (auto at = text.find(mount); at != std::string::npos; at = text.find(mount, at + source.size())) {
      text.replace(at, mount.size(), source);
    }
  };
  replace("/models/base", spec.model.source);
  replace("/data/evaluation", spec.evaluation.dataset);
  if (spec.quantization.calibration) replace("/data/calibration", spec.quantization.calibration->source);
  return text;
}

}  // namespace

std::string setback(const Job& job, const Observed& observed) {
  if (job.setback.empty()) return "";
  return ", again after: " + in_terms_of_spec(job.setback, observed.model.spec).substr(0, 500);
}

JobView view(const Observed& observed, const std::string& name, api::Time now) {
  const Job* job = observed.job(name);
  if (job == nullptr) return {};
  if (job->state == JobState::kRunning) {
    if (job->waiting.empty()) return {Progress::kRunning, "Job " + name + " runs" + setback(*job, observed)};
    return {job->may_start ? Progress::kRunning : Progress::kWaiting, wait_message(*job)};
  }
  if (job->state == JobState::kFailed) {
    const std::string why =
        in_terms_of_spec(job->summary.empty() ? job->reason : job->summary, observed.model.spec);
    return {Progress::kFailed, "Job " + name + " failed: " + why.substr(0, 500)};
  }
  if (!job->summary.empty()) return {Progress::kDone, ""};
  if (!job->finished_at || now - *job->finished_at < kMessageDelay) {
    return {Progress::kRunning, "Job " + name + " is done; its summary is awaited"};
  }
  if (is_unread(*job, now)) return {Progress::kMissing, "Job " + name + " runs again: its pod is gone"};
  return {Progress::kFailed, "Job " + name + " is done, but left no summary"};
}

bool is_unread(const Job& job, api::Time now) {
  return job.state == JobState::kSucceeded && job.summary.empty() && job.pods_gone && job.finished_at &&
         now - *job.finished_at >= kMessageDelay;
}

}  // namespace stepdown::rollout
