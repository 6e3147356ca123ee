#pragma once

#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::local::api {

/// An API object in Kubernetes' protobuf envelope ("k8s\0" and runtime.Unknown), as the JSON that it stands
/// for. The layouts are builtins/messages.json. Throws ApiError 400, or 415 for a kind whose layout is not
/// recorded.
nlohmann::json parse_protobuf(std::string_view body);

}  // namespace stepdown::local::api
