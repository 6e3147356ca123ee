#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/judge/fault.h"
#include "operator/gateway/route/split.h"

namespace stepdown::gateway {

/// What one request came to, without its text.
struct AccessRecord {
  std::string request_id;
  std::string trace_id;
  bool sampled = false;  ///< the client records this trace
  std::string model;     ///< as the client named it
  Arm arm = Arm::kFp16;  ///< that answered in the end
  std::string revision;  ///< its digest; empty: none was asked
  int status = 0;        ///< as the client got it; 499: it hung up first
  bool stream = false;
  Fault fault = Fault::kNone;  ///< of the arm that the request was routed to
  std::string retried;         ///< as in x-stepdown-retried
  bool escalated = false;      ///< for its low confidence
  bool shadowed = false;       ///< FP16 is asked for the same, to compare
  double ms = 0;

  /// One request to an engine.
  struct Hop {
    std::string revision;
    std::string span_id;
  };
  std::vector<Hop> hops;
};

/// Which requests get a line in the log.
enum class AccessLog {
  kOff,
  /// What failed, was retried or escalated, what belongs to a trace that its client records, and one in a
  /// hundred of the rest.
  kSampled,
  kAll,
};
/// "off", "sampled", "all".
std::optional<AccessLog> access_log_named(std::string_view name);

/// `chance` in [0, 1), drawn for this record.
bool wanted(const AccessRecord& record, AccessLog log, double chance);

/// The fields of its line.
nlohmann::json to_json(const AccessRecord& record);

}  // namespace stepdown::gateway
