#include "operator/cli/report_reader.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/cli/report_pod.h"
#include "operator/kube/resources.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

/// A pod of ours that is removed when this command ends, however it ends.
class Pod {
 public:
  Pod(const Connection& connection, const json& object)
      : connection_(connection),
        key_(kube::key_of(connection.client.create(kube::resources::kPods, object).value())) {}
  ~Pod() {
    try {
      static_cast<void>(connection_.client.remove(kube::resources::kPods, key_, {.grace_period_seconds = 0}));
    } catch (const std::exception&) {
      // Its owner's deletion takes it along.
    }
  }
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  std::string output(std::chrono::seconds limit) const {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    std::string waits;
    while (std::chrono::steady_clock::now() < deadline) {
      const json pod = connection_.client.get(kube::resources::kPods, key_).value();
      const std::string phase = kube::text_at(pod, "/status/phase");
      if (phase == "Succeeded") return log();
      if (phase == "Failed") throw Error("the report cannot be read: " + log(), key_.text());
      waits = kube::text_at(pod, "/status/containerStatuses/0/state/waiting/message");
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    throw Error("no pod could read the report in time" + (waits.empty() ? "" : ": " + waits), key_.text(),
                "raise --wait");
  }

 private:
  std::string log() const {
    return connection_.client.raw("/api/v1/namespaces/" + key_.ns + "/pods/" + key_.name + "/log").value();
  }

  const Connection& connection_;
  kube::ObjectKey key_;
};

}  // namespace

/// The candidate asked for; without one the one that was chosen, else the first that was measured.
const api::CandidateStatus& find_row(const api::QuantizedModel& model, const std::string& asked) {
  std::vector<const api::CandidateStatus*> rows;
  for (const api::CandidateStatus& row : model.status.candidates) rows.push_back(&row);
  if (model.status.baseline) rows.push_back(&*model.status.baseline);
  std::erase_if(rows, [](const auto* row) { return row->report.empty() || row->metrics.empty(); });
  std::stable_partition(rows.begin(), rows.end(),
                        [](const auto* row) { return row->state == api::candidate_state::kChosen; });
  std::string known;
  for (const auto* row : rows) {
    if (asked.empty() || row->name == asked) return *row;
    known += (known.empty() ? "" : ", ") + row->name;
  }
  if (rows.empty()) {
    throw InputError("nothing was evaluated yet", model.metadata.name,
                     "give spec.evaluation.dataset, or wait: kubectl stepdown status " + model.metadata.name);
  }
  throw InputError("no candidate of that name was evaluated: " + asked, model.metadata.name,
                   "use one of " + known);
}

std::string read_report(const Connection& connection, const json& model, const api::CandidateStatus& row,
                        const std::string& uri, std::chrono::seconds limit) {
  const auto job = connection.client.get(kube::resources::kJobs, {connection.ns, row.evaluate_job});
  if (!job)
    throw Error("the Job that wrote the report is gone", row.evaluate_job, "the report lies at " + uri);
  return Pod(connection, report_pod(model, *job, uri)).output(limit);
}

}  // namespace stepdown::cli
