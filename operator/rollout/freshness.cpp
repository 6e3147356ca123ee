#include "operator/rollout/freshness.h"

#include <algorithm>

#include "engine/base/hash.h"
#include "operator/compat/adapters.h"
#include "operator/compat/memory_fit.h"
#include "operator/compat/subject.h"

namespace stepdown::rollout {
namespace {

using api::EvaluationInputs;

bool differ(const std::string& then, std::string_view now) {
  return !then.empty() && !now.empty() && then != now;
}

/// Of lists of classes: a pool that lost one was measured; one that got another was not.
bool has_others(const std::string& then, std::string_view now) {
  return !then.empty() && !compat::lists_all(then, now);
}

struct Part {
  const char* name;
  std::string EvaluationInputs::*value;
  bool (*changed)(const std::string& then, std::string_view now) = differ;
};

constexpr const char* kHardwareClass = "hardware class";

/// The dataset is looked at apart: where it lies matters only while its digest is not known.
constexpr Part kParts[] = {{"base hash", &EvaluationInputs::base},
                           {"adapters", &EvaluationInputs::adapters},
                           {"adapters", &EvaluationInputs::adapters_digest},
                           {"tokenizer", &EvaluationInputs::tokenizer},
                           {"chat template", &EvaluationInputs::chat_template},
                           {"suites", &EvaluationInputs::suites},
                           {"engine version", &EvaluationInputs::engine},
                           {"KV type", &EvaluationInputs::kv_type},
                           {"context", &EvaluationInputs::context},
                           {"hardware", &EvaluationInputs::hardware},
                           {kHardwareClass, &EvaluationInputs::hardware_class, has_others}};

std::string suites_of(const api::EvaluationSpec& evaluation) {
  std::string all;
  for (const api::RawJson& suite : evaluation.suites) all += suite.text + "\n";
  return sha256_hex(all).substr(0, 16);
}

std::string engine_of(const Observed& observed, const Settings& settings) {
  const std::string& engine = observed.model.spec.serving.engine;
  const std::string own = image_version(settings.engine_image);
  if (engine == "stepdown") return engine + " " + own;
  return engine + " " + engine_version(observed, settings) + ", measured by stepdown " + own;
}

std::string hardware_of(const api::ServingSpec& serving) {
  if (!serving.hardware || serving.hardware->accelerator.empty()) return "cpu";
  return serving.hardware->accelerator + " x " + std::to_string(serving.hardware->count);
}

/// "ada, ampere": what pods may land on. Where nodes may not be read, the labels that select them stand for
/// it.
std::string classes_of(const Observed& observed) {
  const api::ServingSpec& serving = observed.model.spec.serving;
  const compat::Inventory inventory{.nodes = observed.nodes};
  const compat::Subject subject(observed.model.spec, inventory);
  if (!subject.hardware.empty() && std::ranges::all_of(subject.hardware, compat::is_leaf))
    return compat::class_list(subject.hardware);
  if (observed.nodes || !serving.hardware) return "";
  std::string labels;
  for (const auto& [label, value] : serving.hardware->node_selector)
    labels += (labels.empty() ? "" : ", ") + label + "=" + value;
  return labels;
}

}  // namespace

bool has_other_adapters(const api::CandidateStatus& artifact, const std::string& digest_now) {
  if (artifact.adapters.empty() || digest_now.empty()) return false;
  return compat::merged_adapters_digest(artifact.adapters) != digest_now;
}

std::string image_version(const std::string& image) {
  const std::size_t at = image.find('@');
  const std::string name = image.substr(0, at);
  const std::size_t colon = name.rfind(':');
  if (colon != std::string::npos && name.find('/', colon) == std::string::npos) return name.substr(colon + 1);
  return at == std::string::npos ? image : image.substr(at + 1);
}

std::string engine_version(const Observed& observed, const Settings& settings) {
  if (observed.model.spec.serving.engine == "stepdown") return image_version(settings.engine_image);
  if (!observed.profile) return "";
  const api::EngineProfileSpec& profile = observed.profile->spec;
  return profile.version.empty() ? image_version(profile.image) : profile.version;
}

EvaluationInputs evaluation_inputs(const Observed& observed, const Settings& settings,
                                   const api::ModelFacts& base) {
  const api::QuantizedModelSpec& spec = observed.model.spec;
  const bool read = base.dataset == spec.evaluation.dataset;
  const std::string adapters = compat::adapters_text(spec.model);
  return {.base = base.digest,
          .adapters = adapters,
          .adapters_digest = base.adapters == adapters ? base.adapters_digest : "",
          .tokenizer = base.tokenizer_digest,
          .chat_template = base.template_digest,
          .dataset = spec.evaluation.dataset,
          .dataset_digest = read ? base.dataset_digest : "",
          .suites = suites_of(spec.evaluation),
          .engine = engine_of(observed, settings),
          .kv_type = spec.kv_cache.type,
          .context = std::to_string(compat::context_length(spec.serving, base)),
          .hardware = hardware_of(spec.serving),
          .hardware_class = classes_of(observed)};
}

std::vector<std::string> changed_parts(const EvaluationInputs& then, const EvaluationInputs& now) {
  std::vector<std::string> out;
  for (const Part& part : kParts) {
    const bool told = !out.empty() && out.back() == part.name;
    if (!told && part.changed(then.*part.value, now.*part.value)) out.emplace_back(part.name);
  }
  const bool digests = !then.dataset_digest.empty() && !now.dataset_digest.empty();
  if (digests ? then.dataset_digest != now.dataset_digest : differ(then.dataset, now.dataset))
    out.emplace_back("dataset");
  return out;
}

std::string identity(const EvaluationInputs& inputs) {
  std::string text;
  const auto add = [&](const std::string& value) { text += std::to_string(value.size()) + ":" + value; };
  for (const Part& part : kParts) {
    // Records are older than this part.
    if (part.value == &EvaluationInputs::adapters_digest && inputs.adapters_digest.empty()) continue;
    add(inputs.*part.value);
  }
  add(inputs.dataset_digest.empty() ? inputs.dataset : inputs.dataset_digest);
  return "sha256:" + sha256_hex(text);
}

api::EvaluationStatus evaluation_now(const std::optional<api::EvaluationStatus>& before,
                                     const EvaluationInputs& now) {
  if (!before) return {.inputs = now};
  api::EvaluationStatus out = *before;
  const std::vector<std::string> changed = changed_parts(before->inputs, now);
  for (const std::string& each : changed) {
    if (std::ranges::find(out.stale, each) == out.stale.end()) out.stale.push_back(each);
  }
  if (!changed.empty()) ++out.round;
  out.inputs = now;
  const auto keep = [&](std::string EvaluationInputs::*value) {
    if ((out.inputs.*value).empty()) out.inputs.*value = before->inputs.*value;
  };
  const auto has_changed = [&](std::string_view name) {
    return std::ranges::find(changed, name) != changed.end();
  };
  for (const Part& part : kParts) {
    const bool of_others = part.value == &EvaluationInputs::adapters_digest && has_changed("adapters");
    if (!of_others) keep(part.value);
  }
  if (!has_changed("dataset")) keep(&EvaluationInputs::dataset_digest);
  // What was measured, though the pool has less of it now.
  if (!has_changed(kHardwareClass) && !before->inputs.hardware_class.empty())
    out.inputs.hardware_class = before->inputs.hardware_class;
  return out;
}

std::string stale_message(const std::optional<api::EvaluationStatus>& evaluation) {
  if (!evaluation || evaluation->stale.empty()) return "";
  std::string parts;
  for (const std::string& each : evaluation->stale) parts += (parts.empty() ? "" : ", ") + each;
  return "evaluation stale: " + parts + " changed";
}

}  // namespace stepdown::rollout
