#include <algorithm>

#include "operator/compat/adapters.h"
#include "operator/compat/memory_fit.h"
#include "operator/compat/rule.h"

// A QuantRevision that is promoted: whether its record still speaks about what would be served here.
namespace stepdown::compat {
namespace {

constexpr const char* kPath = "spec.quantization.fromRevision";

const api::QuantRevisionSpec* record(const Subject& subject) {
  return subject.inventory.from_revision ? &subject.inventory.from_revision->spec : nullptr;
}

void tokenizer_parity(const Subject& subject, Report& report) {
  const auto* made = record(subject);
  if (made == nullptr || !subject.inventory.model) return;
  const api::ModelFacts& base = *subject.inventory.model;
  const auto check = [&](const char* what, const std::string& recorded, const std::string& found) {
    if (recorded.empty() || found.empty() || recorded == found) return;
    report.add(kPath, std::string("its ") + what + " was " + recorded +
                          " when it was evaluated, the base now has " + found);
  };
  check("tokenizer", made->base.tokenizer_digest, base.tokenizer_digest);
  check("chat template", made->base.template_digest, base.template_digest);
}

std::string hardware_class(const api::ServingSpec& serving) {
  return serving.hardware ? serving.hardware->accelerator : "";
}

void stale(const Subject& subject, Report& report) {
  const auto* made = record(subject);
  if (made == nullptr || !made->evaluation) return;
  const api::EvaluationRecord& measured = *made->evaluation;
  const api::QuantizedModelSpec& spec = subject.spec;
  const auto check = [&](const char* path, const char* what, const std::string& then,
                         const std::string& now) {
    if (then.empty() || then == now) return;
    report.add(path, std::string("the revision was evaluated with ") + what + " " + then +
                         ", this serves with " + (now.empty() ? "none" : now));
  };
  check("spec.kvCache.type", "KV cache", measured.kv_type, spec.kv_cache.type);
  check("spec.serving.engine", "engine", measured.engine, spec.serving.engine);
  if (measured.engine == spec.serving.engine) {
    const std::string version =
        subject.bundled_engine() ? subject.inventory.bundled_version : std::string(subject.engine.version());
    if (!version.empty()) check("spec.serving.engine", "engine version", measured.engine_version, version);
  }
  if (measured.hardware && *measured.hardware != hardware_class(spec.serving)) {
    const auto name = [](const std::string& accelerator) {
      return accelerator.empty() ? std::string("CPU") : accelerator;
    };
    report.add("spec.serving.hardware.accelerator", "the revision was evaluated on " +
                                                        name(*measured.hardware) + ", this serves on " +
                                                        name(hardware_class(spec.serving)));
  }
  const auto other_class = [&](const std::string& each) {
    return is_leaf(each) && !lists_all(measured.hardware_class, each);
  };
  // Where the evaluation's nodes could not be read, the record holds the labels that selected them.
  const bool told = is_leaf(measured.hardware_class.substr(0, measured.hardware_class.find(',')));
  if (told && std::ranges::any_of(subject.hardware, other_class)) {
    report.add("spec.serving.hardware.nodeSelector",
               "the revision was evaluated on " + measured.hardware_class + ", pods may land on " +
                   *std::ranges::find_if(subject.hardware, other_class));
  }
  const std::string prompts = subject.inventory.model ? subject.inventory.model->dataset_digest : "";
  if (!prompts.empty()) check("spec.evaluation.dataset", "prompts", measured.dataset_digest, prompts);
  if (!spec.evaluation.dataset.empty() && measured.dataset_digest.empty())
    check("spec.evaluation.dataset", "dataset", measured.dataset, spec.evaluation.dataset);
  const std::int64_t asked = subject.inventory.model ? context_length(spec.serving, *subject.inventory.model)
                                                     : spec.serving.context_length.value_or(0);
  if (measured.context_length && asked > *measured.context_length) {
    report.add("spec.serving.contextLength", "the revision was evaluated at " +
                                                 std::to_string(*measured.context_length) +
                                                 " tokens, this serves " + std::to_string(asked));
  }
}

void other_artifact(const Subject& subject, Report& report) {
  const auto* made = record(subject);
  if (made == nullptr || !subject.inventory.artifact) return;
  const std::string& found = subject.inventory.artifact->digest;
  if (found == made->artifact.digest) return;
  report.add(kPath, "its record says artifact " + made->artifact.digest + ", and " + made->artifact.uri +
                        " holds " + found + " here");
}

void unevaluated(const Subject& subject, Report& report) {
  const auto* made = record(subject);
  if (made == nullptr) return;
  const bool compared =
      std::ranges::any_of(made->scores, [](const auto& entry) { return entry.second.baseline.has_value(); });
  if (!made->evaluation)
    report.add(kPath, "the revision was never evaluated");
  else if (!compared)
    report.add(kPath, "the revision's scores have no FP16 figures beside them");
}

void incomplete_record(const Subject& subject, Report& report) {
  const auto* made = record(subject);
  if (made == nullptr) return;
  std::string missing;
  const auto need = [&](const std::string& value, const char* name) {
    if (value.empty()) missing += (missing.empty() ? "" : ", ") + std::string(name);
  };
  need(made->base.tokenizer_digest, "base.tokenizerDigest");
  need(made->base.template_digest, "base.templateDigest");
  need(made->base.uri, "base.uri");
  need(made->tool_version, "toolVersion");
  if (!missing.empty()) report.add(kPath, "the record lacks " + missing);
}

void adapters_differ(const Subject& subject, Report& report) {
  const auto* made = record(subject);
  if (made == nullptr) return;
  const std::vector<api::Adapter>& named = subject.spec.model.adapters;
  if (made->adapters.size() != named.size()) {
    report.add("spec.model.adapters", "the revision holds " + std::to_string(made->adapters.size()) +
                                          " merged adapters, the spec names " + std::to_string(named.size()));
    return;
  }
  for (std::size_t i = 0; i < named.size(); ++i) {
    if (made->adapters[i].weight == named[i].weight) continue;
    report.add("spec.model.adapters[" + std::to_string(i) + "].weight",
               "the revision holds it with weight " + std::to_string(made->adapters[i].weight) +
                   ", the spec gives " + std::to_string(named[i].weight));
  }
  const auto& facts = subject.inventory.model;
  if (!facts || facts->adapters_digest.empty() || facts->adapters != adapters_text(subject.spec.model))
    return;
  if (merged_adapters_digest(made->adapters) != facts->adapters_digest) {
    report.add("spec.model.adapters", "the revision holds other adapters than those that lie there");
  }
}

constexpr Rule kRules[] = {
    {"SD020", Severity::kError, "Tokenizer parity lost",
     "With another tokenizer or chat template the same weights are another model; answers degrade without an "
     "error.",
     "quantization: {fromRevision: llama-3f9a}  # whose base had another chat template",
     "promote a revision that was evaluated with this tokenizer and template", tokenizer_parity},
    {"SD024", Severity::kError, "A stale evaluation",
     "Scores hold for what was measured: base, adapters, tokenizer, template, dataset, engine version, KV "
     "type, context "
     "and hardware class. A change in any asks for a new evaluation.",
     "quantization: {fromRevision: llama-3f9a}\nkvCache: {type: int8}  # evaluated at fp16",
     "serve it as it was evaluated, or evaluate it anew as a candidate and promote that revision", stale},
    {"SD050", Severity::kWarning, "A record with gaps",
     "Promotion and audit verify what the record states; what it leaves out is taken on trust.",
     "quantization: {fromRevision: llama-3f9a}  # without base.tokenizerDigest",
     "make the revision with this operator, or complete its record", incomplete_record},
    {"SD059", Severity::kWarning, "A revision without scores against FP16", "Nothing says what was lost.",
     "quantization: {fromRevision: llama-3f9a}  # without spec.evaluation",
     "evaluate it as a candidate first", unevaluated},
    {"SD060", Severity::kError, "Adapters that differ from the record",
     "A revision with merged adapters is another model than its base.",
     "model: {source: \"pvc://models/llama\", adapters: [...]}\nquantization: {fromRevision: llama-3f9a}",
     "name the adapters of the record, or none", adapters_differ},
    {"SD063", Severity::kError, "Another artifact than the record's",
     "A record's scores are of one artifact. A copy that was cut short, or a path that holds something else "
     "here, is another model.",
     "quantization: {fromRevision: llama-3f9a}  # whose artifact.uri holds other bytes here",
     "copy the artifact anew, or name where it lies in the record's spec.artifact.uri", other_artifact},
};

}  // namespace

std::span<const Rule> promotion_rules() {
  return kRules;
}

}  // namespace stepdown::compat
