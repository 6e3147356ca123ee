#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace stepdown::local::api {

using Json = nlohmann::json;

/// One entry of Status.details.causes. `reason` is the field error type, e.g. "FieldValueInvalid".
struct Cause {
  std::string reason;
  std::string message;
  std::string field;
};

/// An answer that is no success: a metav1.Status with its HTTP code.
class ApiError : public std::runtime_error {
 public:
  ApiError(int code, std::string reason, const std::string& message, Json details = nullptr);

  int code() const { return code_; }
  const std::string& reason() const { return reason_; }
  Json status() const;

 private:
  int code_;
  std::string reason_;
  Json details_;
};

/// What an error is about; `plural` may be empty for requests that name no resource.
struct Subject {
  std::string group;
  std::string plural;
  std::string kind;
  std::string name;
};

ApiError bad_request(const std::string& message);
ApiError unauthorized();
ApiError forbidden(const Subject& subject, const std::string& why);
/// 403 for a new object in a namespace that is being deleted.
ApiError ending_namespace(const Subject& subject, const std::string& space);
ApiError not_found(const Subject& subject);
ApiError path_not_found();
ApiError method_not_allowed(const std::string& message);
ApiError already_exists(const Subject& subject);
ApiError conflict(const Subject& subject, const std::string& why);
ApiError apply_conflict(const std::vector<Cause>& causes, const std::string& message);
ApiError expired(const std::string& message);
ApiError unsupported_media_type(const std::string& message);
ApiError not_implemented(const std::string& message);
ApiError internal_error(const std::string& message);
/// 422 with one cause per field error; the message joins them as the API server does.
ApiError invalid(const Subject& subject, const std::vector<Cause>& causes);

Cause required_field(const std::string& field, const std::string& detail = {});
/// `value` is printed as the API server prints it: strings quoted, structures as "object" or "array" left to
/// the caller.
Cause invalid_field(const std::string& field, const std::string& printed_value, const std::string& detail);
Cause forbidden_field(const std::string& field, const std::string& detail);
Cause duplicate_field(const std::string& field, const std::string& printed_value);
Cause unsupported_field(const std::string& field, const std::string& printed_value,
                        const std::vector<std::string>& supported);

std::string in_quotes(std::string_view text);

}  // namespace stepdown::local::api
