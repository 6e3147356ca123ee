#include "operator/local/api/api_error.h"

#include <utility>

namespace stepdown::local::api {
namespace {

std::string resource_name(const Subject& subject) {
  return subject.group.empty() ? subject.plural : subject.plural + "." + subject.group;
}

Json details_of(const Subject& subject) {
  Json details = Json::object();
  if (!subject.name.empty()) details["name"] = subject.name;
  if (!subject.group.empty()) details["group"] = subject.group;
  if (!subject.plural.empty()) details["kind"] = subject.plural;
  return details;
}

Json causes_json(const std::vector<Cause>& causes) {
  Json list = Json::array();
  for (const Cause& cause : causes) {
    Json entry = {{"reason", cause.reason}, {"message", cause.message}};
    if (!cause.field.empty()) entry["field"] = cause.field;
    list.push_back(std::move(entry));
  }
  return list;
}

std::string forbidden_message(const Subject& subject, const std::string& why) {
  if (subject.plural.empty()) return why;
  return resource_name(subject) + (subject.name.empty() ? "" : " " + in_quotes(subject.name)) +
         " is forbidden: " + why;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

}  // namespace

ApiError::ApiError(int code, std::string reason, const std::string& message, Json details)
    : std::runtime_error(message), code_(code), reason_(std::move(reason)), details_(std::move(details)) {}

Json ApiError::status() const {
  Json status = {{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", Json::object()},
                 {"status", "Failure"}, {"message", what()},  {"code", code_}};
  if (!reason_.empty()) status["reason"] = reason_;
  if (!details_.is_null()) status["details"] = details_;
  return status;
}

ApiError bad_request(const std::string& message) {
  return {400, "BadRequest", message};
}

ApiError unauthorized() {
  return {401, "Unauthorized", "Unauthorized"};
}

ApiError forbidden(const Subject& subject, const std::string& why) {
  return {403, "Forbidden", forbidden_message(subject, why), details_of(subject)};
}

ApiError ending_namespace(const Subject& subject, const std::string& space) {
  Json details = details_of(subject);
  details["causes"] = causes_json(
      {{"NamespaceTerminating", "namespace " + space + " is being terminated", "metadata.namespace"}});
  return {403, "Forbidden",
          forbidden_message(subject, "unable to create new content in namespace " + space +
                                         " because it is being terminated"),
          details};
}

ApiError not_found(const Subject& subject) {
  return {404, "NotFound", resource_name(subject) + " " + in_quotes(subject.name) + " not found",
          details_of(subject)};
}

ApiError path_not_found() {
  return {404, "NotFound", "the server could not find the requested resource", Json::object()};
}

ApiError method_not_allowed(const std::string& message) {
  return {405, "MethodNotAllowed", message, Json::object()};
}

ApiError already_exists(const Subject& subject) {
  return {409, "AlreadyExists", resource_name(subject) + " " + in_quotes(subject.name) + " already exists",
          details_of(subject)};
}

ApiError conflict(const Subject& subject, const std::string& why) {
  return {409, "Conflict",
          "Operation cannot be fulfilled on " + resource_name(subject) + " " + in_quotes(subject.name) +
              ": " + why,
          details_of(subject)};
}

ApiError apply_conflict(const std::vector<Cause>& causes, const std::string& message) {
  return {409, "Conflict", message, {{"causes", causes_json(causes)}}};
}

ApiError expired(const std::string& message) {
  return {410, "Expired", message};
}

ApiError unsupported_media_type(const std::string& message) {
  return {415, "UnsupportedMediaType", message};
}

ApiError not_implemented(const std::string& message) {
  return {501, "NotImplemented", message};
}

ApiError internal_error(const std::string& message) {
  return {500,
          "InternalError",
          "Internal error occurred: " + message,
          {{"causes", Json::array({{{"message", message}}})}}};
}

ApiError invalid(const Subject& subject, const std::vector<Cause>& causes) {
  std::vector<std::string> sentences;
  for (const Cause& cause : causes) sentences.push_back(cause.field + ": " + cause.message);
  std::string joined = join(sentences, ", ");
  if (sentences.size() > 1) joined = "[" + joined + "]";
  const std::string kind = subject.group.empty() ? subject.kind : subject.kind + "." + subject.group;
  Json details = {{"kind", subject.kind}, {"causes", causes_json(causes)}};
  if (!subject.name.empty()) details["name"] = subject.name;
  if (!subject.group.empty()) details["group"] = subject.group;
  return {422, "Invalid", kind + " " + in_quotes(subject.name) + " is invalid: " + joined,
          std::move(details)};
}

Cause required_field(const std::string& field, const std::string& detail) {
  return {"FieldValueRequired", detail.empty() ? "Required value" : "Required value: " + detail, field};
}

Cause invalid_field(const std::string& field, const std::string& printed_value, const std::string& detail) {
  return {"FieldValueInvalid", "Invalid value: " + printed_value + ": " + detail, field};
}

Cause forbidden_field(const std::string& field, const std::string& detail) {
  return {"FieldValueForbidden", "Forbidden: " + detail, field};
}

Cause duplicate_field(const std::string& field, const std::string& printed_value) {
  return {"FieldValueDuplicate", "Duplicate value: " + printed_value, field};
}

Cause unsupported_field(const std::string& field, const std::string& printed_value,
                        const std::vector<std::string>& supported) {
  std::vector<std::string> names;
  for (const std::string& name : supported) names.push_back(in_quotes(name));
  return {"FieldValueNotSupported",
          "Unsupported value: " + printed_value + ": supported values: " + join(names, ", "), field};
}

std::string in_quotes(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace stepdown::local::api
