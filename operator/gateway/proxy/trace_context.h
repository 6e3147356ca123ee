#pragma once

#include <random>
#include <string>
#include <string_view>

#include "operator/gateway/http/message.h"

namespace stepdown::gateway {

/// The trace that a request belongs to, by W3C Trace Context (https://www.w3.org/TR/trace-context/).
struct TraceContext {
  std::string trace_id;  ///< 32 hex digits
  std::string flags;     ///< 2 hex digits
  std::string state;     ///< `tracestate`, passed on as it came

  /// The client records this trace, and wants others to.
  bool sampled() const;
};

/// The client's; a new one, not sampled, where it sent none or none that is valid.
TraceContext trace_context(const Headers& headers, std::mt19937_64& random);

/// 16 hex digits, never all zero: the id of one request to an engine.
std::string random_span_id(std::mt19937_64& random);

/// The header of that request.
std::string traceparent(const TraceContext& context, std::string_view span_id);

}  // namespace stepdown::gateway
