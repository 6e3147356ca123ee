#include "operator/rollout/fetching.h"

#include <algorithm>

#include "engine/base/error.h"
#include "operator/rollout/artifacts.h"
#include "operator/rollout/children/jobs.h"
#include "operator/rollout/children/records.h"
#include "operator/rollout/job_results.h"
#include "operator/rollout/job_view.h"
#include "operator/rollout/names.h"
#include "operator/rollout/sources.h"

namespace stepdown::rollout {
namespace {

namespace state = api::source_state;

class Fetcher {
 public:
  Fetcher(const Observed& observed, const Settings& settings, api::Time now)
      : observed_(observed), model_(observed.model), settings_(settings), now_(now) {}

  Fetching run() {
    const std::string& promoted = model_.spec.quantization.from_revision;
    for (const sources::Remote& each :
         sources::wanted(model_.spec, promoted.empty() ? nullptr : observed_.revision(promoted))) {
      add(each);
    }
    keep_served();
    if (!out_.create.empty() && model_.spec.storage.claim_name.empty()) {
      out_.create.insert(out_.create.begin(), children::claim(model_, {}, 0));
    }
    return std::move(out_);
  }

 private:
  void add(const sources::Remote& remote) {
    if (const api::SourceStatus* there = sources::fetched(model_, remote.source, remote.revision)) {
      out_.sources.push_back(*there);
      out_.sources.back().revision = remote.revision;
      out_.jobs.push_back(there->fetch_job);
      return;
    }
    api::SourceStatus row{.source = remote.source,
                          .revision = remote.revision,
                          .state = state::kFetching,
                          .place = sources::place(names::claim(model_), remote.source, remote.revision),
                          .fetch_job = names::fetch_job(model_, remote)};
    out_.jobs.push_back(row.fetch_job);
    follow(row, remote);
    out_.all_there = false;  // also when it came just now: its row is written before anything mounts it
    out_.base_there = out_.base_there && !remote.of_base;
    if (out_.message.empty() && !row.message.empty()) out_.message = row.message;
    out_.sources.push_back(std::move(row));
  }

  void follow(api::SourceStatus& row, const sources::Remote& remote) {
    const JobView seen = view(observed_, row.fetch_job, now_);
    row.message = seen.message;
    if (seen.progress == Progress::kMissing) {
      if (const std::string collection = running_collection(observed_); !collection.empty()) {
        row.message = "waits for Job " + collection + ", which removes old artifacts";
        return;
      }
      row.message = "Job " + row.fetch_job + " fetches " + remote.source;
      out_.create.push_back(children::fetch_job(model_, settings_, row.fetch_job, remote));
    } else if (seen.progress == Progress::kRunning) {
      const Job& job = *observed_.job(row.fetch_job);
      if (job.state == JobState::kRunning && job.waiting.empty())
        row.message = "Job " + job.name + " fetches " + remote.source + setback(job, observed_);
    } else if (seen.progress == Progress::kWaiting) {
      cannot_start(row, remote);
    } else if (seen.progress == Progress::kFailed) {
      fail(row, "FetchFailed", remote.field + ": " + seen.message);
    } else {
      try {
        const FetchResult result = read_fetch(*observed_.job(row.fetch_job), row.place);
        row.state = state::kFetched;
        row.file = result.file;
        row.resolved = result.resolved;
        row.size = result.size;
        row.message.clear();
      } catch (const InputError& error) {
        fail(row, "FetchFailed", remote.field + ": " + error.what());
      }
    }
  }

  /// A kubelet waits for a Secret for good, and starts the pod once it is there.
  void cannot_start(api::SourceStatus& row, const sources::Remote& remote) {
    const std::string why = observed_.job(row.fetch_job)->waiting;
    const bool no_secret = !remote.secret.empty() &&
                           why.find("\"" + remote.secret + "\"") != std::string::npos &&
                           why.find("not found") != std::string::npos;
    if (!no_secret) return fail(row, "FetchCannotStart", remote.field + ": " + row.message);
    fail(row, "SecretNotFound",
         remote.secret_field + ": there is no Secret " + remote.secret + " in this namespace; Job " +
             row.fetch_job + " starts once it is there");
  }

  void fail(api::SourceStatus& row, const char* reason, const std::string& message) {
    row.state = state::kFailed;
    row.message = message;
    if (!out_.problem) out_.problem = StageProblem{reason, message};
  }

  /// Copies of artifacts that engines serve now, though the spec has moved on.
  void keep_served() {
    if (!model_.status.rollout) return;
    for (const api::Route& route : model_.status.rollout->routes) {
      const api::QuantRevision* revision = observed_.revision_of(route.digest);
      if (revision == nullptr) continue;
      const api::Artifact& artifact = revision->spec.artifact;
      const api::SourceStatus* row = sources::fetched(model_, artifact.uri, artifact.digest);
      const auto same = [&](const api::SourceStatus& known) { return known.place == row->place; };
      if (row == nullptr || std::ranges::any_of(out_.sources, same)) continue;
      out_.sources.push_back(*row);
      out_.jobs.push_back(row->fetch_job);
    }
  }

  const Observed& observed_;
  const api::QuantizedModel& model_;
  const Settings& settings_;
  api::Time now_;
  Fetching out_;
};

}  // namespace

Fetching fetch_sources(const Observed& observed, const Settings& settings, api::Time now) {
  return Fetcher(observed, settings, now).run();
}

}  // namespace stepdown::rollout
