#include "operator/rollout/artifacts.h"

#include "operator/rollout/children/jobs.h"
#include "operator/rollout/names.h"
#include "operator/rollout/sources.h"

namespace stepdown::rollout {
namespace {

using Uris = std::vector<std::string>;

constexpr std::size_t kMostLeftovers = 256;  // as the schema allows; the oldest are forgotten
constexpr std::string_view kClaim = "pvc://";

std::string claim_of(const std::string& uri) {
  const auto end = uri.find('/', kClaim.size());
  return uri.starts_with(kClaim) ? uri.substr(kClaim.size(), end - kClaim.size()) : "";
}

bool contains(const Uris& uris, const std::string& uri) {
  return std::ranges::find(uris, uri) != uris.end();
}

void add(Uris& uris, const std::string& uri) {
  if (!claim_of(uri).empty() && !contains(uris, uri)) uris.push_back(uri);
}

/// What the Job that made the artifact told of it.
std::string quantize_report(const api::CandidateStatus& row) {
  return row.uri.empty() ? ""
                         : std::string(kClaim) + claim_of(row.uri) + "/reports/" + row.quantize_job + ".json";
}

/// Artifacts and reports of the candidates, and FP16's report.
Uris held(const api::QuantizedModelStatus& status) {
  Uris out;
  const auto hold = [&](const api::CandidateStatus& row) {
    add(out, row.uri);
    add(out, quantize_report(row));
    add(out, row.report);
  };
  if (status.baseline) hold(*status.baseline);
  for (const api::CandidateStatus& row : status.candidates) hold(row);
  for (const api::SourceStatus& row : status.sources) add(out, row.place);
  return out;
}

bool names_it(const api::QuantRevision& revision, const std::string& uri) {
  const std::string folder = sources::folder(uri);
  if (!folder.empty()) {
    // One whose artifact lies on a claim is served from there, and its base's copy beside it.
    const std::string claim = claim_of(revision.spec.artifact.uri);
    return (claim.empty() || claim == claim_of(uri)) && contains(sources::folders_of(revision.spec), folder);
  }
  return revision.spec.artifact.uri == uri ||
         (revision.spec.evaluation && revision.spec.evaluation->report == uri);
}

/// Something other than the candidates' table still needs it.
bool in_use(const Observed& observed, const std::string& uri) {
  if (std::ranges::any_of(observed.revisions, [&](const auto& each) { return names_it(each, uri); })) {
    return true;
  }
  if (observed.elsewhere.places.contains(uri)) return true;
  const std::string digest = names::artifact_digest(uri);
  if (digest.empty()) return false;
  const api::QuantizedModel& model = observed.model;
  const auto serves = [&](const api::Route& route) { return route.digest == digest; };
  if (!model.metadata.deleting && model.status.rollout &&
      std::ranges::any_of(model.status.rollout->routes, serves)) {
    return true;
  }
  return observed.deployment(names::engine(model.metadata.name, digest)) != nullptr ||
         observed.elsewhere.digests.contains(digest);
}

bool lies_on(const std::set<std::string>& claims, const Uris& uris) {
  return std::ranges::any_of(uris, [&](const std::string& uri) { return claims.contains(claim_of(uri)); });
}

/// Another model's Job may be about to find there what it would make.
bool others_write(const Observed& observed, const Uris& uris) {
  return lies_on(observed.elsewhere.quantizes_on, uris);
}

/// The first claim's share of `uris` that nothing uses.
Uris due(const Observed& observed, const Uris& uris) {
  Uris out;
  for (const std::string& uri : uris) {
    if (!out.empty() && claim_of(uri) != claim_of(out.front())) continue;
    if (!in_use(observed, uri)) out.push_back(uri);
  }
  return out;
}

/// No Job of this model writes to the claim, or is still there to be taken for the maker of what is removed.
bool quiet(const Pass& pass) {
  const auto disturbs = [&](const Child& child) {
    if (child.deleting) return true;
    if (child.kind != "Job") return false;
    const Job* job = pass.observed.job(child.name);
    return !pass.wanted.contains({child.kind, child.name}) ||
           (job != nullptr && job->state == JobState::kRunning);
  };
  return std::ranges::none_of(pass.plan.create, [](const auto& each) { return each.at("kind") == "Job"; }) &&
         std::ranges::none_of(pass.observed.children, disturbs);
}

bool settled(const Pass& pass) {
  return pass.found.all_ready &&
         (pass.found.position == Position::kPromoted || pass.found.position == Position::kServingFp16);
}

/// What lost gives its space back. Its figures stay, and it is made again should it win after all.
void give_up_losers(Pass& pass) {
  api::QuantizedModelStatus& status = pass.plan.status;
  if (!pass.found.trial) return;
  const auto& specs = pass.found.trial->specs;
  for (std::size_t i = 0; i < status.candidates.size() && i < specs.size(); ++i) {
    api::CandidateStatus& row = status.candidates[i];
    const bool judged = !row.metrics.empty() || pass.model().spec.evaluation.dataset.empty();
    const bool lost =
        row.state == api::candidate_state::kPassed || row.state == api::candidate_state::kFailed;
    if (!judged || !lost || row.uri.empty() || in_use(pass.observed, row.uri)) continue;
    add(status.leftovers, row.uri);
    add(status.leftovers, quantize_report(row));
    row.uri.clear();
    ++row.collected;
    row.quantize_job = names::quantize_job(pass.model(), pass.found.base->digest, specs[i], row.collected);
  }
}

}  // namespace

void give_up_artifacts(Pass& pass) {
  api::QuantizedModelStatus& status = pass.plan.status;
  if (settled(pass)) give_up_losers(pass);
  const Uris needed = held(status);
  for (const std::string& uri : held(pass.model().status)) {
    if (!contains(needed, uri)) add(status.leftovers, uri);
  }
  std::erase_if(status.leftovers, [&](const std::string& uri) { return contains(needed, uri); });
  if (status.leftovers.size() > kMostLeftovers) {
    status.leftovers.erase(status.leftovers.begin(), status.leftovers.end() - kMostLeftovers);
  }
  // Only what an earlier pass wrote down: its other users were looked up then.
  Uris known = pass.model().status.leftovers;
  // An engine may still have what the spec named before, until all are as they must be now.
  std::erase_if(known, [&](const std::string& uri) {
    return !contains(status.leftovers, uri) || (!sources::folder(uri).empty() && !pass.found.all_ready);
  });
  const Uris uris = due(pass.observed, known);
  if (uris.empty() || others_write(pass.observed, uris)) return;
  const std::string name = names::collect_job(pass.model(), uris);
  const Job* job = pass.observed.job(name);
  if (job == nullptr && !quiet(pass)) return;
  if (job != nullptr && job->state == JobState::kSucceeded) {
    std::erase_if(status.leftovers, [&](const std::string& uri) { return contains(uris, uri); });
    return;
  }
  pass.wanted.insert({"Job", name});
  if (job == nullptr)
    pass.plan.create.push_back(children::collect_job(pass.model(), pass.settings, name, uris));
}

LastCollection last_collection(const Observed& observed) {
  const api::QuantizedModel& model = observed.model;
  Uris made = held(model.status);
  for (const std::string& uri : model.status.leftovers) add(made, uri);
  // A claim of our own goes with the model, unless a pinned revision keeps it.
  const bool claim_goes =
      model.spec.storage.claim_name.empty() && std::ranges::none_of(observed.children, &Child::pinned);
  std::erase_if(made,
                [&](const std::string& uri) { return claim_goes && claim_of(uri) == names::claim(model); });
  if (observed.namespace_ends) return {};
  LastCollection out{.job = "", .uris = due(observed, made)};
  out.waits = others_write(observed, out.uris) || lies_on(observed.elsewhere.leaving, made);
  if (!out.uris.empty()) {
    out.job = names::collect_job(model, out.uris);
    out.claim = claim_of(out.uris.front());
  }
  return out;
}

std::string running_collection(const Observed& observed) {
  for (const Job& job : observed.jobs) {
    if (job.state == JobState::kRunning && names::is_collect_job(observed.model, job.name)) return job.name;
  }
  return "";
}

}  // namespace stepdown::rollout
