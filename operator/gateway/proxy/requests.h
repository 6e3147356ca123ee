#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "operator/gateway/http/message.h"

namespace stepdown::gateway {

/// A client's request as an engine gets it: the same target, body and the headers that are the engine's
/// business.
Request to_engine(const Request& client, std::string_view request_id, std::string body);

/// The request for the one answer that has no chance in it: temperature 0, one choice, not streamed.
nlohmann::json greedy_copy(const nlohmann::json& request);

/// The request that lets another variant go on after `released`, of which some `tokens` were streamed. Chat:
/// the text becomes the last, unfinished message of the assistant (continue_final_message). Completions: it
/// joins the prompt. Empty when the request has no such form.
std::optional<nlohmann::json> continuation(const nlohmann::json& request, bool chat,
                                           std::string_view released, std::size_t tokens);

}  // namespace stepdown::gateway
