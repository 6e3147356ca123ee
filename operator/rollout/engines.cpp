#include "operator/rollout/engines.h"

#include <algorithm>

#include "operator/compat/fallback.h"
#include "operator/rollout/children/common.h"
#include "operator/rollout/names.h"
#include "operator/rollout/sources.h"

namespace stepdown::rollout {
namespace {

std::string applied_hash(const nlohmann::json& object) {
  return object.at("metadata").at("annotations").at(children::kAppliedHash).get<std::string>();
}

/// The bundled engine quantizes only a cache that this revision's evaluation checked; other engines have
/// checks of their own, or none.
std::string checked_kv_type(const api::QuantizedModelSpec& spec, const api::QuantRevision& revision) {
  const std::string& asked = spec.kv_cache.type;
  const auto& evaluation = revision.spec.evaluation;
  const bool checked = evaluation && evaluation->kv_type == asked;
  return spec.serving.engine != "stepdown" || checked ? asked : "fp16";
}

}  // namespace

std::int64_t Engines::fp16_replicas(const api::RolloutStatus& rollout, const std::string& target,
                                    bool demanded) const {
  const std::int64_t full = observed_.model.spec.serving.replicas;
  const bool settled = !rollout.stable.empty() && rollout.stable != base_.digest && rollout.digest.empty() &&
                       (target.empty() || target == rollout.stable);
  if (!settled) return full;
  if (!demanded) return 0;
  const std::int64_t control = (full * observed_.model.spec.rollout.control.percent + 99) / 100;
  const std::int64_t least = compat::fp16_on_demand(observed_.model.spec) ? 1 : 0;
  return std::max({observed_.model.spec.rollout.fallback.replicas, control, least});
}

std::string Engines::name(const std::string& digest) const {
  const std::string& model = observed_.model.metadata.name;
  return digest == base_.digest ? names::fp16_engine(model) : names::engine(model, digest);
}

const char* Engines::kind(const std::string& digest) const {
  const api::QuantizedModelSpec& spec = observed_.model.spec;
  return children::workload_kind(digest == base_.digest ? compat::fp16_spec(spec).serving : spec.serving);
}

const api::QuantRevision* Engines::revision(const std::string& digest) const {
  const auto found = std::ranges::find_if(
      made_, [&](const api::QuantRevision& each) { return each.spec.artifact.digest == digest; });
  return found != made_.end() ? &*found : observed_.revision_of(digest);
}

std::vector<nlohmann::json> Engines::objects(const std::string& digest, std::int64_t replicas) const {
  children::Engine engine{.name = name(digest), .digest = digest, .replicas = replicas};
  if (digest == base_.digest) {
    engine.source = sources::base(observed_.model);
    engine.bytes = base_.size;
    engine.fp16 = true;
    api::QuantizedModel model = observed_.model;
    model.spec = compat::fp16_spec(std::move(model.spec));
    const bool by_bundled = compat::fp16_on_cpus(observed_.model.spec);
    return children::engine(model, settings_, by_bundled ? std::nullopt : observed_.profile, base_, engine);
  }
  if (const api::QuantRevision* found = revision(digest)) {
    engine.source = sources::mounted(observed_.model, found->spec.artifact.uri, found->spec.artifact.digest);
    engine.bytes = found->spec.artifact.size.value_or(base_.size);
    engine.kv_type = checked_kv_type(observed_.model.spec, *found);
    if (engine.kv_type != "fp16" && found->spec.evaluation) {
      engine.fp16_kv_layers = found->spec.evaluation->fp16_kv_layers;
    }
  } else {
    return {};
  }
  return children::engine(observed_.model, settings_, observed_.profile, base_, engine);
}

bool Engines::ready(const std::string& digest, std::int64_t replicas) const {
  const Deployment* deployment = observed_.deployment(name(digest));
  if (deployment == nullptr || !deployment->settled || deployment->available < replicas) return false;
  const auto wanted = objects(digest, replicas);
  return wanted.empty() || deployment->applied_hash == applied_hash(wanted.front());
}

bool Engines::failed(const std::string& digest) const {
  const Deployment* deployment = observed_.deployment(name(digest));
  return deployment != nullptr && deployment->deadline_exceeded;
}

}  // namespace stepdown::rollout
