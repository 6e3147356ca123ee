#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/base/error.h"

namespace stepdown::server {

/// An error as OpenAI's clients read it: HTTP status and {"error": {message, type, param, code}}.
class ApiError : public Error {
 public:
  ApiError(int status, std::string code, const std::string& message, std::string param = {});

  int status() const { return status_; }
  const std::string& code() const { return code_; }
  const std::string& param() const { return param_; }
  nlohmann::ordered_json body() const;

 private:
  int status_;
  std::string code_;
  std::string param_;
};

/// Throws the 400 (invalid_value) that says what is wrong with one parameter.
[[noreturn]] void refuse(const std::string& param, const std::string& what);

}  // namespace stepdown::server
