#include "operator/gateway/proxy/access_log.h"

#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

constexpr double kShareOfTheRest = 0.01;

std::string_view verdict(const AccessRecord& record) {
  if (record.fault != Fault::kNone) return name(record.fault);
  return record.status < 300 ? "passed" : "none";
}

}  // namespace

std::optional<AccessLog> access_log_named(std::string_view name) {
  if (name == "off") return AccessLog::kOff;
  if (name == "sampled") return AccessLog::kSampled;
  if (name == "all") return AccessLog::kAll;
  return std::nullopt;
}

bool wanted(const AccessRecord& record, AccessLog log, double chance) {
  if (log == AccessLog::kOff) return false;
  if (log == AccessLog::kAll || record.sampled) return true;
  // An overload is no problem of a request: its thousands of 429 are sampled like the rest.
  const bool problem = record.fault != Fault::kNone || !record.retried.empty() || record.status >= 500;
  return problem || chance < kShareOfTheRest;
}

nlohmann::json to_json(const AccessRecord& record) {
  nlohmann::json fields = {{"requestId", record.request_id},
                           {"traceId", record.trace_id},
                           {"model", record.model},
                           {"route", name(record.arm)},
                           {"revision", record.revision},
                           {"verdict", verdict(record)},
                           {"status", record.status},
                           {"stream", record.stream},
                           {"ms", record.ms},
                           {"retried", nullptr},
                           {"escalated", record.escalated},
                           {"shadow", record.shadowed},
                           {"hops", nlohmann::json::array()}};
  if (!record.retried.empty()) fields["retried"] = record.retried;
  for (const AccessRecord::Hop& hop : record.hops)
    fields["hops"].push_back({{"revision", hop.revision}, {"spanId", hop.span_id}});
  return fields;
}

}  // namespace stepdown::gateway
