#include "operator/api/describe_records.h"

namespace stepdown::api {
namespace {

template <class Kind>
Kind parse_record(const nlohmann::json& object, UnknownFields unknown,
                  std::vector<InputError>* faults = nullptr) {
  Kind record;
  record.metadata = parse_metadata(object);
  const auto spec = object.find("spec");
  if (spec == object.end()) throw InputError("required field is missing", "spec", "add it");
  Codec<decltype(record.spec)>::read(*spec, record.spec, {"spec", unknown, faults});
  return record;
}

}  // namespace

QuantRevision parse_quant_revision(const nlohmann::json& object, UnknownFields unknown) {
  return parse_record<QuantRevision>(object, unknown);
}

EngineProfile parse_engine_profile(const nlohmann::json& object, UnknownFields unknown) {
  return parse_record<EngineProfile>(object, unknown);
}

QuantRevision parse_quant_revision(const nlohmann::json& object, std::vector<InputError>& faults) {
  return parse_record<QuantRevision>(object, UnknownFields::kRefuse, &faults);
}

EngineProfile parse_engine_profile(const nlohmann::json& object, std::vector<InputError>& faults) {
  return parse_record<EngineProfile>(object, UnknownFields::kRefuse, &faults);
}

nlohmann::json print(const QuantRevisionSpec& spec) {
  return Codec<QuantRevisionSpec>::print(spec);
}
nlohmann::json print(const EngineProfileSpec& spec) {
  return Codec<EngineProfileSpec>::print(spec);
}

}  // namespace stepdown::api
