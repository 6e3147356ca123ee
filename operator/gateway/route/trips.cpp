#include "operator/gateway/route/trips.h"

#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

using nlohmann::json;

bool retried(const Rollout& rollout, const Trip& trip) {
  return rollout.retried_epoch > trip.epoch && !rollout.blocked.contains(trip.digest);
}

}  // namespace

bool Trips::add(const Trip& trip, const Rollout& rollout) {
  if (retried(rollout, trip)) return false;
  const auto [found, added] = trips_.try_emplace(trip.digest, trip);
  if (added) return true;
  Trip& known = found->second;
  const bool earlier =
      trip.fp16_at && *trip.fp16_at >= known.at && (!known.fp16_at || *trip.fp16_at < *known.fp16_at);
  if (earlier) known.fp16_at = trip.fp16_at;
  return earlier;
}

std::vector<std::string> Trips::clear_retried(const Rollout& rollout) {
  std::vector<std::string> cleared;
  for (auto entry = trips_.begin(); entry != trips_.end();) {
    if (retried(rollout, entry->second)) {
      cleared.push_back(entry->first);
      entry = trips_.erase(entry);
    } else {
      ++entry;
    }
  }
  return cleared;
}

bool Trips::routable(const Rollout& rollout, const std::string& digest) const {
  return known_ && !trips_.contains(digest) && !rollout.blocked.contains(digest);
}

void Trips::set_fp16_at(const std::string& digest, WallTime at) {
  const auto found = trips_.find(digest);
  if (found != trips_.end() && !found->second.fp16_at) found->second.fp16_at = at;
}

const Trip* Trips::find(const std::string& digest) const {
  const auto found = trips_.find(digest);
  return found == trips_.end() ? nullptr : &found->second;
}

json to_json(const Trip& trip) {
  json value = {{"digest", trip.digest},
                {"epoch", trip.epoch},
                {"detectedBy", name(trip.detected_by)},
                {"reason", trip.reason},
                {"badAnswers", trip.bad_answers},
                {"evidence", to_json(trip.evidence)},
                {"firstBadAtMs", to_ms(trip.first_bad_at)},
                {"atMs", to_ms(trip.at)}};
  if (trip.fp16_at) value["fp16AtMs"] = to_ms(*trip.fp16_at);
  return value;
}

std::optional<Trip> trip_from_json(const json& value) {
  if (!value.is_object()) return std::nullopt;
  for (const char* text : {"digest", "detectedBy", "reason"}) {
    if (!value.contains(text) || !value[text].is_string()) return std::nullopt;
  }
  for (const char* number : {"epoch", "badAnswers", "firstBadAtMs", "atMs"}) {
    if (!value.contains(number) || !value[number].is_number_integer()) return std::nullopt;
  }
  const auto detector = detector_named(value["detectedBy"].get<std::string>());
  if (!detector || value["digest"].get<std::string>().empty()) return std::nullopt;
  Trip trip;
  trip.digest = value["digest"].get<std::string>();
  trip.epoch = value["epoch"].get<std::uint64_t>();
  trip.detected_by = *detector;
  trip.reason = value["reason"].get<std::string>();
  trip.bad_answers = value["badAnswers"].get<std::uint64_t>();
  trip.evidence = evidence_from_json(value.value("evidence", json())).value_or(Evidence{});
  trip.first_bad_at = from_ms(value["firstBadAtMs"].get<std::int64_t>());
  trip.at = from_ms(value["atMs"].get<std::int64_t>());
  if (value.contains("fp16AtMs") && value["fp16AtMs"].is_number_integer()) {
    trip.fp16_at = from_ms(value["fp16AtMs"].get<std::int64_t>());
  }
  return trip;
}

json to_json(const Trips& trips) {
  json list = json::array();
  for (const auto& [digest, trip] : trips.all()) list.push_back(to_json(trip));
  return list;
}

std::vector<Trip> trips_from_json(const json& value) {
  std::vector<Trip> trips;
  if (!value.is_array()) return trips;
  for (const json& item : value) {
    if (auto trip = trip_from_json(item)) trips.push_back(std::move(*trip));
  }
  return trips;
}

}  // namespace stepdown::gateway
