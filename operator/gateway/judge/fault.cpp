#include "operator/gateway/judge/fault.h"

namespace stepdown::gateway {

std::string_view name(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "none";
    case Fault::kConnection:
      return "connection";
    case Fault::kTimeout:
      return "timeout";
    case Fault::kServerError:
      return "server_error";
    case Fault::kNonFinite:
      return "nonfinite_logits";
    case Fault::kCollapse:
      return "logprob_collapse";
    case Fault::kEmpty:
      return "empty";
    case Fault::kLooping:
      return "looping";
    case Fault::kTruncated:
      return "truncated";
    case Fault::kSchema:
      return "schema_violation";
    case Fault::kMalformed:
      return "malformed_answer";
    case Fault::kRefused:
      return "refused";
  }
  return "unknown";
}

}  // namespace stepdown::gateway
