#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/http/message.h"
#include "operator/gateway/judge/expectation.h"
#include "operator/gateway/proxy/trace_context.h"

namespace stepdown::gateway {

/// A client's request as an engine gets it: the same target, body and the headers that are the engine's
/// business; in the client's trace, as the child of `span_id`.
Request to_engine(const Request& client, std::string_view request_id, const TraceContext& trace,
                  std::string_view span_id, std::string body);

/// Bodies stay ordered: the order of a schema's properties is the order an engine writes them in.
///
/// The request for the one answer that has no chance in it: temperature 0, one choice, not streamed.
nlohmann::ordered_json greedy_copy(const nlohmann::ordered_json& request);

/// The request that lets another variant go on after `released`, of which some `tokens` were streamed. Chat:
/// the text becomes the last, unfinished message of the assistant (continue_final_message). Completions: it
/// joins the prompt. Empty when the request has no such form.
std::optional<nlohmann::ordered_json> continuation(const nlohmann::ordered_json& request,
                                                   const Expectation& expected, std::string_view released,
                                                   std::size_t tokens);

}  // namespace stepdown::gateway
