#include "engine/server/api_error.h"

#include <utility>

#include <nlohmann/json.hpp>

namespace stepdown::server {

ApiError::ApiError(int status, std::string code, const std::string& message, std::string param)
    : Error(message), status_(status), code_(std::move(code)), param_(std::move(param)) {}

nlohmann::ordered_json ApiError::body() const {
  using nlohmann::ordered_json;
  const char* type = status_ >= 500   ? "engine_error"
                     : status_ == 429 ? "rate_limit_error"
                     : status_ == 401 ? "authentication_error"
                                      : "invalid_request_error";
  return {{"error",
           {{"message", what()},
            {"type", type},
            {"param", param_.empty() ? ordered_json() : ordered_json(param_)},
            {"code", code_.empty() ? ordered_json() : ordered_json(code_)}}}};
}

void refuse(const std::string& param, const std::string& what) {
  throw ApiError(400, "invalid_value", "'" + param + "' " + what, param);
}

}  // namespace stepdown::server
