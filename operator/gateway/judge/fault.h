#pragma once

#include <string_view>

namespace stepdown::gateway {

/// What is wrong with an answer, as metrics, headers and reasons name it. A client's own 4xx is none of
/// these.
enum class Fault {
  kNone,
  kConnection,   ///< refused, reset, or ended before the answer did
  kTimeout,      ///< not finished in time
  kServerError,  ///< 5xx, or an error event inside a stream
  kNonFinite,    ///< the engine met NaN or infinite logits
  kCollapse,     ///< mean log-probability far under what FP16 shows
  kEmpty,        ///< no text and no tool call
  kLooping,      ///< the same words over and over, inside JSON strings too
  kTruncated,    ///< finish_reason "length" before the requested format was complete
  kSchema,  ///< is not what the request's response_format, structured_outputs, guided_* or grammar asks for
  kMalformed,  ///< not the API's shape
  kRefused,    ///< a 4xx to a request that FP16 answers
};

/// E.g. "schema_violation"; "none" for kNone.
std::string_view name(Fault fault);

}  // namespace stepdown::gateway
