#include "operator/gateway/state_file.h"

#include <exception>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/log.h"
#include "operator/gateway/judge/member.h"

namespace stepdown::gateway {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

// Kept in the shape of the Kubernetes objects they came from, so that one reader does for both.
json as_model(const Rollout& rollout) {
  json routes = json::array();
  for (const Backend& b : rollout.backends) {
    routes.push_back({{"digest", b.digest}, {"service", b.service}, {"role", b.role}});
  }
  json blocked = json::array();
  for (const std::string& digest : rollout.blocked) blocked.push_back({{"digest", digest}});
  const Limits& limits = rollout.limits;
  return {{"spec",
           {{"rollout",
             {{"rollback",
               {{"alpha", limits.alpha},
                {"ratio", limits.ratio},
                {"maxErrorRate", limits.max_error_rate},
                {"latencyP99Ratio", limits.latency_p99_ratio}}},
              {"shadow", {{"percent", rollout.shadow * 100}, {"maxDisagreement", limits.max_disagreement}}},
              {"minAnswers", rollout.min_answers},
              {"escalation", {{"minConfidence", rollout.min_confidence}}}}}}},
          {"status",
           {{"rollout",
             {{"digest", rollout.candidate},
              {"weight", rollout.weight * 100},
              {"epoch", rollout.epoch},
              {"retriedEpoch", rollout.retried_epoch},
              {"salt", rollout.salt},
              {"stable", rollout.stable},
              {"controlPercent", rollout.control * 100},
              {"routes", std::move(routes)}}},
            {"blocked", std::move(blocked)}}}};
}

json as_slices(const Endpoints& endpoints) {
  json slices = json::array();
  for (const auto& [service, addresses] : endpoints) {
    for (const Address& address : addresses) {
      slices.push_back({{"metadata", {{"labels", {{"kubernetes.io/service-name", service}}}}},
                        {"ports", {{{"name", "http"}, {"port", address.port}}}},
                        {"endpoints", {{{"addresses", {address.host}}}}}});
    }
  }
  return slices;
}

}  // namespace

StateFile::StateFile(const std::filesystem::path& folder) : path_(folder / "gateway.json") {
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  if (code) throw InputError("cannot make the folder: " + code.message(), "--state-dir " + folder.string());
  try {
    write_file_atomically(folder / ".writable", "");
  } catch (const std::exception& error) {
    throw InputError(std::string("cannot write there: ") + error.what(), "--state-dir " + folder.string(),
                     "mount a writable volume: trips must survive a restart");
  }
}

std::optional<Snapshot> StateFile::load() const {
  if (!std::filesystem::exists(path_)) return std::nullopt;
  try {
    const json state = json::parse(read_file(path_));
    if (state.at("version") != kVersion) throw Error("another version");
    Snapshot snapshot = read_snapshot(state.at("model"), state.at("endpointSlices").get<std::vector<json>>());
    snapshot.trips = trips_from_json(state.at("trips"));
    return snapshot;
  } catch (const std::exception& error) {
    log::error("the state file cannot be read; all traffic goes to FP16 until peers or status tell of trips",
               {{"file", path_.string()}, {"error", error.what()}});
    return std::nullopt;
  }
}

void StateFile::save(const Snapshot& snapshot, const Trips& trips) {
  const json state = {{"version", kVersion},
                      {"model", as_model(snapshot.rollout)},
                      {"endpointSlices", as_slices(snapshot.endpoints)},
                      {"trips", to_json(trips)}};
  std::string text = state.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text == written_) return;
  try {
    write_file_atomically(path_, text);
    written_ = std::move(text);
  } catch (const std::exception& error) {
    log::error("cannot keep the state; it holds here, at the peers and in status", {{"error", error.what()}});
  }
}

}  // namespace stepdown::gateway
