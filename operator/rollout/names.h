#pragma once

#include <string>

#include "operator/api/kinds.h"

namespace stepdown::rollout::sources {
struct Remote;
}

/// Deterministic names: a controller that lost its memory finds its children again, and a change of anything
/// a result depends on makes a new name.
namespace stepdown::rollout::names {

/// The first 12 hex digits of "sha256:…".
std::string digest12(const std::string& digest);
/// "sha256:…" of an artifact's place, pvc://claim/<64 hex digits>/…; empty where it names no artifact.
std::string artifact_digest(const std::string& uri);
/// 8 hex digits over all parts.
std::string hash8(std::initializer_list<std::string> parts);

std::string fp16_engine(const std::string& model);
std::string engine(const std::string& model, const std::string& digest);
std::string revision(const std::string& model, const std::string& digest);
std::string gateway(const std::string& model);
/// Of all of them together.
std::string engines(const std::string& model);
/// Of the claim that the operator makes where the spec names none.
std::string own_claim(const std::string& model);
std::string claim(const api::QuantizedModel& model);

/// Brings a source that lies elsewhere to the claim.
std::string fetch_job(const api::QuantizedModel& model, const sources::Remote& remote);
std::string inspect_job(const api::QuantizedModel& model);
/// Reads model and dataset once more; `occasion` tells one such reading from another.
std::string recheck_job(const api::QuantizedModel& model, const std::string& occasion);
/// Reads the artifact of a revision that is promoted.
std::string verify_job(const api::QuantizedModel& model, const api::Artifact& artifact);
/// `collected`: how often the artifact was removed again; each making has a Job of its own.
std::string quantize_job(const api::QuantizedModel& model, const std::string& base_digest,
                         const api::CandidateSpec& candidate, std::int64_t collected);
/// Removes `uris`, all of one claim.
std::string collect_job(const api::QuantizedModel& model, const std::vector<std::string>& uris);
bool is_collect_job(const api::QuantizedModel& model, const std::string& name);
/// `digest`: of the artifact that is measured; the base's for the baseline. `image`: the engine that
/// measures, part of what the figures are valid for. `round`: how often they became stale.
std::string evaluate_job(const api::QuantizedModel& model, const std::string& base_digest,
                         const std::string& digest, std::int64_t context, const std::string& image,
                         std::int64_t round);

}  // namespace stepdown::rollout::names
