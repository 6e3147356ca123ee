#include <algorithm>

#include "operator/api/describe_spec.h"
#include "operator/api/describe_status.h"

namespace stepdown::api {

std::string CandidateSpec::name() const {
  if (!preset.empty()) return method + "/" + preset;
  if (!budget.empty()) return method + "/" + budget;
  return bits ? method + "/" + std::to_string(*bits) : method;
}

std::vector<CandidateSpec> candidates_of(const QuantizationSpec& quantization) {
  if (!quantization.candidates.empty() || !quantization.from_revision.empty()) return quantization.candidates;
  return {{"gguf", "Q4_K_M", {}, {}}, {"gguf", "Q8_0", {}, {}}};
}

bool QuantizedModelStatus::is_blocked(const std::string& digest) const {
  return std::ranges::find(blocked, digest, &Blocked::digest) != blocked.end();
}

namespace {

QuantizedModel parse(const nlohmann::json& object, UnknownFields unknown, std::vector<InputError>* faults) {
  QuantizedModel model;
  model.metadata = parse_metadata(object);
  const auto spec = object.find("spec");
  if (spec == object.end()) throw InputError("required field is missing", "spec", "add it");
  Codec<QuantizedModelSpec>::read(*spec, model.spec, {"spec", unknown, faults});
  if (const auto status = object.find("status"); status != object.end() && !status->is_null()) {
    Codec<QuantizedModelStatus>::read(*status, model.status, {"status", unknown, faults});
  }
  return model;
}

}  // namespace

QuantizedModel parse_quantized_model(const nlohmann::json& object, UnknownFields unknown) {
  return parse(object, unknown, nullptr);
}

QuantizedModel parse_quantized_model(const nlohmann::json& object, std::vector<InputError>& faults) {
  return parse(object, UnknownFields::kRefuse, &faults);
}

nlohmann::json print(const QuantizedModelSpec& spec) {
  return Codec<QuantizedModelSpec>::print(spec);
}
nlohmann::json print(const QuantizedModelStatus& status) {
  return Codec<QuantizedModelStatus>::print(status);
}
nlohmann::json print(const Condition& condition) {
  return Codec<Condition>::print(condition);
}

Metrics parse_metrics(const nlohmann::json& metrics, const std::string& where) {
  Metrics parsed;
  Codec<Metrics>::read(metrics, parsed, {where, UnknownFields::kIgnore});
  return parsed;
}

}  // namespace stepdown::api
