#include "operator/rollout/stages.h"

#include <algorithm>

#include "engine/base/error.h"
#include "operator/compat/adapters.h"
#include "operator/compat/memory_fit.h"
#include "operator/rollout/artifacts.h"
#include "operator/rollout/children/jobs.h"
#include "operator/rollout/children/records.h"
#include "operator/rollout/choose.h"
#include "operator/rollout/freshness.h"
#include "operator/rollout/job_results.h"
#include "operator/rollout/job_view.h"
#include "operator/rollout/ladder.h"
#include "operator/rollout/names.h"
#include "operator/rollout/sources.h"

namespace stepdown::rollout {
namespace {

namespace state = api::candidate_state;

/// The row that status remembers of that Job, if it came to an end.
const api::CandidateStatus* remembered(const std::vector<api::CandidateStatus>& rows,
                                       const std::string& name) {
  const auto found =
      std::ranges::find_if(rows, [&](const api::CandidateStatus& row) { return row.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

void take_artifact(api::CandidateStatus& row, const QuantizeResult& result) {
  row.digest = result.digest;
  row.uri = result.uri;
  row.size = result.size;
  row.bits = result.bits;
  row.tool_version = result.tool_version;
  row.calibration = result.calibration;
  row.adapters = result.adapters;
}

class Trials {
 public:
  Trials(const Observed& observed, const Settings& settings, const api::ModelFacts& base, api::Time now)
      : observed_(observed),
        model_(observed.model),
        settings_(settings),
        base_(base),
        now_(now),
        specs_(api::candidates_of(model_.spec.quantization)),
        own_(specs_.size()) {
    remember_ladder();
    out_.evaluation =
        evaluation_now(model_.status.evaluation, evaluation_inputs(observed_, settings_, base_));
    const auto& baseline = model_.status.baseline;
    const auto& before = model_.status.evaluation;
    const bool measured = baseline && !baseline->metrics.empty();
    look_at_adapters();
    if (!measured && (!before || before->stale.empty())) out_.evaluation.stale.clear();
  }

  Trial run() {
    out_.quantized = true;
    for (const api::CandidateSpec& candidate : specs_) add(candidate);
    evaluate();
    climb();
    if (out_.quantized && out_.evaluated) choose_best();
    if (out_.quantized && out_.evaluated) out_.evaluation.stale.clear();
    out_.specs = specs_;
    if (!out_.create.empty() && model_.spec.storage.claim_name.empty()) {
      out_.create.insert(out_.create.begin(), children::claim(model_, base_, specs_.size()));
    }
    return std::move(out_);
  }

 private:
  /// Steps that this spec led to stay candidates, also while all are measured anew.
  void remember_ladder() {
    const bool same_spec = model_.status.observed_generation == model_.metadata.generation;
    if (!same_spec || !model_.spec.quantization.ladder) return;
    for (const api::CandidateStatus& row : model_.status.candidates) {
      if (row.ladder.value_or(false)) specs_.push_back(step_named(row.name));
    }
  }

  /// What was merged is told by each artifact; what lies there now, by those who read the files again.
  void look_at_adapters() {
    const std::string& now = out_.evaluation.inputs.adapters_digest;
    const auto& before = model_.status.evaluation;
    other_adapters_ = !now.empty() && before && before->inputs.adapters_digest != now;
    const auto outdated = [&](const api::CandidateStatus& row) { return has_other_adapters(row, now); };
    if (!other_adapters_ || std::ranges::none_of(model_.status.candidates, outdated)) return;
    std::vector<std::string>& stale = out_.evaluation.stale;
    if (std::ranges::find(stale, "adapters") != stale.end()) return;
    stale.emplace_back("adapters");
    ++out_.evaluation.round;
  }

  void add(const api::CandidateSpec& candidate) {
    api::CandidateStatus row = quantize(candidate);
    if (row.state == state::kEvaluating) leave_out(row, row.size, "");
    if (out_.candidates.size() >= own_) row.ladder = true;
    out_.quantized = out_.quantized && row.state != state::kQuantizing;
    out_.candidates.push_back(row);
  }

  /// While everything that was tried is judged and nothing passed: the ladder's next step.
  void climb() {
    while (out_.quantized && out_.evaluated && !out_.problem && !choose(out_.candidates)) {
      const LadderStep step = next_step(model_.spec, base_, observed_.profile, specs_, out_.candidates);
      if (!step.next) {
        out_.ladder_end = step.end;
        return;
      }
      specs_.push_back(*step.next);
      add(specs_.back());
      evaluate();
    }
  }

  api::CandidateStatus quantize(const api::CandidateSpec& candidate) {
    const api::CandidateStatus* before = remembered(model_.status.candidates, candidate.name());
    std::int64_t collected = before != nullptr ? before->collected : 0;
    const std::string& adapters_now = out_.evaluation.inputs.adapters_digest;
    if (other_adapters_ && before != nullptr && has_other_adapters(*before, adapters_now)) ++collected;
    api::CandidateStatus row{.name = candidate.name(),
                             .quantize_job = names::quantize_job(model_, base_.digest, candidate, collected),
                             .collected = collected};
    out_.jobs.push_back(row.quantize_job);
    if (before == nullptr || before->quantize_job != row.quantize_job || before->digest.empty()) {
      make(row, candidate);
      return row;
    }
    row = *before;
    row.state = state::kEvaluating;
    row.message.clear();
    const bool measured = model_.spec.evaluation.dataset.empty() || measured_before(row, before);
    if (row.uri.empty() && !measured) make(row, candidate);
    return row;
  }

  /// What not even one sequence fits beside is never made, measured or served.
  bool leave_out(api::CandidateStatus& row, std::int64_t bytes, const std::string& how) const {
    const std::string why = compat::too_large(model_.spec, base_, bytes, observed_.profile);
    if (why.empty()) return false;
    row.state = state::kFailed;
    row.message = why + how;
    return true;
  }

  /// The dataset changed between two Jobs: the next pass finds the figures stale.
  bool mixed_data() const {
    const std::string& known = out_.evaluation.inputs.dataset_digest;
    return !known.empty() && !out_.dataset_digest.empty() && known != out_.dataset_digest;
  }

  /// What was removed while another won is made again before it is served.
  void choose_best() {
    while (const auto best = choose(out_.candidates)) {
      api::CandidateStatus& row = out_.candidates[*best];
      const std::string digest = row.digest;
      if (row.uri.empty()) make(row, specs_[*best]);
      if (row.state == state::kFailed) continue;
      out_.quantized = row.state != state::kQuantizing;
      out_.evaluated = row.digest == digest;
      if (!out_.quantized || !out_.evaluated) return;
      row.state = state::kPassed;
      out_.best = best;
      for (api::CandidateStatus& other : out_.candidates) {
        if (&other != &row && other.state == state::kPassed) other.message = why_larger_lost(other, row);
      }
      return;
    }
  }

  /// Follows the Job that makes the row's artifact; starts it where it is missing.
  void make(api::CandidateStatus& row, const api::CandidateSpec& candidate) {
    const std::string& job = row.quantize_job;
    row.state = state::kQuantizing;
    const JobView seen = view(observed_, job, now_);
    row.message = seen.message;
    if (seen.progress == Progress::kMissing) {
      const auto bytes = compat::predicted_size(candidate, base_);
      if (bytes && leave_out(row, *bytes, " (predicted)")) return;
      if (const std::string collection = running_collection(observed_); !collection.empty()) {
        row.message = "waits for Job " + collection + ", which removes old artifacts";
        return;
      }
      row.message = "Job " + job + " runs";  // from now on, so that to see it is no news
      out_.create.push_back(children::quantize_job(model_, settings_, job, base_, candidate));
    } else if (seen.progress == Progress::kFailed) {
      row.state = state::kFailed;
    } else if (seen.progress == Progress::kDone) {
      try {
        take_artifact(row, read_quantization(*observed_.job(job), names::claim(model_)));
        row.state = state::kEvaluating;
      } catch (const InputError& error) {
        row.state = state::kFailed;
        row.message = error.what();
      }
    }
  }

  void evaluate() {
    out_.evaluated = false;
    if (!out_.quantized) return;
    if (model_.spec.evaluation.dataset.empty()) {
      for (api::CandidateStatus& row : out_.candidates) {
        if (row.state == state::kEvaluating) row.state = state::kPassed;
      }
      out_.evaluated = true;
      return;
    }
    out_.baseline = api::CandidateStatus{
        .name = "fp16", .state = state::kEvaluating, .digest = base_.digest, .size = base_.size};
    const std::optional<api::CandidateStatus>& old = model_.status.baseline;
    measure(*out_.baseline, old ? &*old : nullptr,
            {.uri = "", .kv_type = "fp16", .baseline = "", .bytes = base_.size});
    if (out_.baseline->state == state::kFailed) {
      out_.problem = StageProblem{"BaselineFailed", out_.baseline->message};
      return;
    }
    bool busy = out_.baseline->metrics.empty();
    for (api::CandidateStatus& row : out_.candidates) {
      if (row.state == state::kFailed) continue;
      const api::CandidateStatus* before = remembered(model_.status.candidates, row.name);
      if (busy && !measured_before(row, before)) {
        row.state = state::kPending;
        row.message = "waits for another evaluation";
        row.metrics.clear();
        keep_job(row);
        continue;
      }
      measure(row, before,
              {.uri = row.uri,
               .kv_type = model_.spec.kv_cache.type,
               .baseline = out_.baseline->evaluate_job,
               .bytes = row.size});
      busy = busy || row.state == state::kEvaluating;
    }
    const auto pending = [](const api::CandidateStatus& row) { return row.state == state::kPending; };
    out_.evaluated = !busy && std::ranges::none_of(out_.candidates, pending) && !mixed_data();
  }

  std::string job_of(const api::CandidateStatus& row) const {
    return names::evaluate_job(model_, base_.digest, row.digest,
                               compat::context_length(model_.spec.serving, base_), settings_.engine_image,
                               out_.evaluation.round);
  }

  bool measured_before(const api::CandidateStatus& row, const api::CandidateStatus* before) const {
    return before != nullptr && before->evaluate_job == job_of(row) && !before->metrics.empty();
  }

  void keep_job(const api::CandidateStatus& row) { out_.jobs.push_back(job_of(row)); }

  void measure(api::CandidateStatus& row, const api::CandidateStatus* before,
               const children::Measured& measured) {
    const std::string job = job_of(row);
    keep_job(row);
    row.metrics.clear();
    row.evaluate_job = job;
    row.report = children::report_uri(model_, job);
    if (measured_before(row, before)) {
      row.metrics = before->metrics;
      row.fp16_kv_layers = before->fp16_kv_layers;
      if (row.tool_version.empty()) row.tool_version = before->tool_version;
      return judge(row);
    }
    const JobView seen = view(observed_, job, now_);
    row.message = seen.message;
    if (seen.progress == Progress::kMissing) {
      row.message = "Job " + job + " runs";  // from now on, so that to see it is no news
      out_.create.push_back(children::evaluate_job(model_, settings_, job, base_, measured));
    } else if (seen.progress == Progress::kFailed) {
      row.state = state::kFailed;
    } else if (seen.progress == Progress::kDone) {
      try {
        EvaluateResult result = read_evaluation(*observed_.job(job));
        row.metrics = std::move(result.metrics);
        if (!result.dataset_digest.empty()) out_.dataset_digest = result.dataset_digest;
        row.fp16_kv_layers = std::move(result.fp16_kv_layers);
        if (row.tool_version.empty()) row.tool_version = result.engine;
        judge(row);
      } catch (const InputError& error) {
        row.state = state::kFailed;
        row.message = error.what();
      }
    }
  }

  void judge(api::CandidateStatus& row) const {
    row.message =
        row.name == "fp16" ? "" : broken_slo(model_.spec.evaluation.slo, row.metrics, out_.baseline->metrics);
    row.state = row.message.empty() ? state::kPassed : state::kFailed;
  }

  const Observed& observed_;
  const api::QuantizedModel& model_;
  const Settings& settings_;
  const api::ModelFacts& base_;
  api::Time now_;
  std::vector<api::CandidateSpec> specs_;
  std::size_t own_;              ///< of them, that the spec names
  bool other_adapters_ = false;  ///< this pass learned what lies at their places
  Trial out_;
};

/// Why the files are read again, which names the Job: for the promotion of the canary that gets traffic now,
/// or because it was long ago. Empty: they need not be.
std::string recheck_occasion(const api::QuantizedModel& model, const api::ModelFacts& known, api::Time now) {
  const auto& rollout = model.status.rollout;
  const bool canary = rollout && !rollout->digest.empty() && rollout->weight > 0;
  if (canary && rollout->salt != known.checked_for) return rollout->salt;
  const auto every = api::parse_duration(model.spec.evaluation.recheck);
  const auto last = api::parse_time(known.checked_at);
  return every && last && now - *last >= *every ? known.checked_at : "";
}

void take_reading(api::ModelFacts& facts, const api::QuantizedModel& model, api::Time now) {
  facts.source = model.spec.model.source;
  facts.place = sources::base_copy(model);
  facts.dataset = facts.dataset_digest.empty() ? "" : model.spec.evaluation.dataset;
  facts.adapters = facts.adapters_digest.empty() ? "" : compat::adapters_text(model.spec.model);
  facts.checked_at = api::format_time(now);
}

/// The known facts stay in use until the Job that reads again is done.
void recheck(Inspection& out, const Observed& observed, const Settings& settings, api::Time now) {
  const api::QuantizedModel& model = observed.model;
  const auto every = api::parse_duration(model.spec.evaluation.recheck);
  if (const auto last = api::parse_time(out.model->checked_at); every && last)
    out.look_again = std::max(*last + *every - now, std::chrono::milliseconds(0));
  const std::string occasion = recheck_occasion(model, *out.model, now);
  if (occasion.empty()) return;
  const std::string name = names::recheck_job(model, occasion);
  out.jobs.push_back(name);
  out.unchecked = "waits for Job " + name + ", which reads model and dataset again before a promotion";
  const JobView seen = view(observed, name, now);
  if (seen.progress == Progress::kMissing) {
    out.create.push_back(children::recheck_job(model, settings, name));
  } else if (seen.progress == Progress::kFailed || seen.progress == Progress::kWaiting) {
    out.unchecked = "no promotion before model and dataset are read again: " + seen.message;
  } else if (seen.progress == Progress::kDone) {
    try {
      api::ModelFacts read = read_inspection(*observed.job(name));
      take_reading(read, model, now);
      if (read.dataset.empty()) {
        read.dataset = out.model->dataset;
        read.dataset_digest = out.model->dataset_digest;
      }
      read.checked_for =
          model.status.rollout && occasion == model.status.rollout->salt ? occasion : out.model->checked_for;
      out.model = std::move(read);
      out.unchecked.clear();
    } catch (const InputError& error) {
      out.unchecked = error.what();
    }
  }
}

}  // namespace

std::optional<api::ModelFacts> known_base(const api::QuantizedModel& model) {
  const auto& facts = model.status.model;
  if (!facts) return std::nullopt;
  const bool same = facts->source.empty() ? facts->inspect_job == names::inspect_job(model)
                                          : facts->source == model.spec.model.source &&
                                                facts->place == sources::base_copy(model);
  return same ? facts : std::nullopt;
}

std::optional<api::ModelFacts> known_artifact(const api::QuantizedModel& model,
                                              const api::Artifact& artifact) {
  const auto& facts = model.status.artifact;
  return facts && facts->inspect_job == names::verify_job(model, artifact) ? facts : std::nullopt;
}

Inspection verify(const Observed& observed, const Settings& settings, const api::Artifact& artifact,
                  api::Time now) {
  const api::QuantizedModel& model = observed.model;
  const std::string name = names::verify_job(model, artifact);
  Inspection out{.model = known_artifact(model, artifact)};
  out.jobs.push_back(name);
  if (out.model) return out;
  out.unchecked = "Job " + name + " reads the artifact before anything serves it";
  const JobView seen = view(observed, name, now);
  if (seen.progress == Progress::kMissing) {
    out.create.push_back(children::verify_job(model, settings, name, artifact));
  } else if (seen.progress == Progress::kFailed || seen.progress == Progress::kWaiting) {
    out.problem = StageProblem{"ArtifactUnreadable",
                               "spec.quantization.fromRevision: " + artifact.uri + ": " + seen.message};
  } else if (seen.progress == Progress::kDone) {
    try {
      out.model = read_inspection(*observed.job(name));
      out.model->source = artifact.uri;
      out.model->checked_at = api::format_time(now);
      out.unchecked.clear();
    } catch (const InputError& error) {
      out.problem = StageProblem{"ArtifactUnreadable", error.what()};
    }
  }
  return out;
}

Inspection inspect(const Observed& observed, const Settings& settings, bool all_there, api::Time now) {
  const api::QuantizedModel& model = observed.model;
  Inspection out;
  if (const auto known = known_base(model)) {
    out.model = known;
    out.jobs.push_back(known->inspect_job);
    if (all_there) {
      recheck(out, observed, settings, now);
    } else {
      out.unchecked = "waits until every source is fetched";
    }
    return out;
  }
  const std::string name = names::inspect_job(model);
  out.jobs.push_back(name);
  const JobView seen = view(observed, name, now);
  if (seen.progress == Progress::kMissing) {
    out.create.push_back(children::inspect_job(model, settings, name));
  } else if (seen.progress == Progress::kWaiting) {
    out.problem = StageProblem{"InspectCannotStart", seen.message};  // until what it waits for is there
  } else if (seen.progress == Progress::kFailed) {
    out.problem = StageProblem{"InspectFailed", seen.message};
  } else if (seen.progress == Progress::kDone) {
    try {
      out.model = read_inspection(*observed.job(name));
      take_reading(*out.model, model, now);
    } catch (const InputError& error) {
      out.problem = StageProblem{"InspectFailed", error.what()};
    }
  }
  return out;
}

Trial try_candidates(const Observed& observed, const Settings& settings, const api::ModelFacts& base,
                     api::Time now) {
  return Trials(observed, settings, base, now).run();
}

}  // namespace stepdown::rollout
