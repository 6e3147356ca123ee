#include "operator/compat/spec_sources.h"

#include "operator/compat/subject.h"

namespace stepdown::compat {
namespace {

std::string name_of(const std::optional<api::SecretReference>& secret) {
  return secret ? secret->name : "";
}

}  // namespace

std::vector<SpecSource> spec_sources(const api::QuantizedModelSpec& spec) {
  const std::string model_secret = name_of(spec.model.secret_ref), model_path = "spec.model.secretRef";
  std::vector<SpecSource> out = {
      {"spec.model.source", spec.model.source, spec.model.revision, model_secret, model_path, true}};
  for (std::size_t i = 0; i < spec.model.adapters.size(); ++i) {
    const api::Adapter& adapter = spec.model.adapters[i];
    const std::string path = element("spec.model.adapters", i);
    out.push_back(
        {path + ".source", adapter.source, "", name_of(adapter.secret_ref), path + ".secretRef", true});
  }
  out.push_back({"spec.evaluation.dataset", spec.evaluation.dataset, "", name_of(spec.evaluation.secret_ref),
                 "spec.evaluation.secretRef"});
  out.push_back({"spec.quantization.imatrix", spec.quantization.imatrix, "", model_secret, model_path});
  if (const auto& calibration = spec.quantization.calibration) {
    const std::string path = "spec.quantization.calibration";
    const std::string secret = name_of(calibration->secret_ref);
    out.push_back({path + ".source", calibration->source, "", secret, path + ".secretRef"});
    out.push_back({path + ".redactNames", calibration->redact_names, "", secret, path + ".secretRef"});
  }
  return out;
}

}  // namespace stepdown::compat
