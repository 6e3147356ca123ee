#include "operator/gateway/verdict/evidence.h"

#include <algorithm>
#include <cmath>
#include <span>

#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestGrid = 64;

struct Counter {
  const char* name;
  std::uint64_t Evidence::*field;
};
constexpr Counter kCounters[] = {
    {"candidateAnswers", &Evidence::candidate_answers},
    {"controlAnswers", &Evidence::control_answers},
    {"candidateErrors", &Evidence::candidate_errors},
    {"controlErrors", &Evidence::control_errors},
    {"failedWhereFp16Passed", &Evidence::failed_where_fp16_passed},
    {"shadowPairs", &Evidence::shadow_pairs},
    {"slowCandidate", &Evidence::slow_candidate},
    {"slowControl", &Evidence::slow_control},
};
constexpr Counter kStep[] = {{"epoch", &Evidence::epoch}, {"stepAnswers", &Evidence::step_answers}};

struct Figure {
  const char* name;
  double Evidence::*field;
};
constexpr Figure kFigures[] = {{"disagreement", &Evidence::disagreement},
                               {"candidateP99Ms", &Evidence::candidate_p99_ms},
                               {"controlP99Ms", &Evidence::control_p99_ms}};

struct Vector {
  const char* name;
  LogVector Evidence::*field;
};
constexpr Vector kVectors[] = {{"arm", &Evidence::arm},
                               {"ceiling", &Evidence::ceiling},
                               {"shadow", &Evidence::shadow},
                               {"latency", &Evidence::latency}};

bool read_counters(const json& value, std::span<const Counter> counters, Evidence& evidence) {
  for (const Counter& counter : counters) {
    if (!value.contains(counter.name) || !value[counter.name].is_number_unsigned()) return false;
    evidence.*counter.field = value[counter.name].get<std::uint64_t>();
  }
  return true;
}

bool read_logs(const json& value, LogVector& logs) {
  if (!value.is_array() || value.size() > kLongestGrid) return false;
  for (const json& item : value) {
    if (!item.is_number() || !std::isfinite(item.get<double>())) return false;
    logs.push_back(item.get<double>());
  }
  return true;
}

}  // namespace

void Evidence::add(const Evidence& other) {
  for (const Vector& vector : kVectors) gateway::add(this->*vector.field, other.*vector.field);
  for (const Counter& counter : kCounters) this->*counter.field += other.*counter.field;
  disagreement += other.disagreement;
  candidate_p99_ms = std::max(candidate_p99_ms, other.candidate_p99_ms);
  control_p99_ms = std::max(control_p99_ms, other.control_p99_ms);
  if (other.epoch == epoch) step_answers += other.step_answers;
}

json to_json(const Evidence& evidence) {
  json value = json::object();
  for (const Figure& figure : kFigures) value[figure.name] = evidence.*figure.field;
  for (const Vector& vector : kVectors) value[vector.name] = evidence.*vector.field;
  for (const Counter& counter : kCounters) value[counter.name] = evidence.*counter.field;
  for (const Counter& counter : kStep) value[counter.name] = evidence.*counter.field;
  return value;
}

std::optional<Evidence> evidence_from_json(const json& value) {
  if (!value.is_object()) return std::nullopt;
  Evidence evidence;
  for (const Vector& vector : kVectors) {
    if (!value.contains(vector.name) || !read_logs(value[vector.name], evidence.*vector.field))
      return std::nullopt;
  }
  if (!read_counters(value, kCounters, evidence) || !read_counters(value, kStep, evidence)) {
    return std::nullopt;
  }
  for (const Figure& figure : kFigures) {
    if (!value.contains(figure.name) || !value[figure.name].is_number()) return std::nullopt;
    evidence.*figure.field = value[figure.name].get<double>();
  }
  return evidence;
}

}  // namespace stepdown::gateway
