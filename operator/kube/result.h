#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/base/error.h"

namespace stepdown::kube {

/// What an API server answers when it refuses: meta/v1 Status. An expected outcome, hence a value.
struct ApiError {
  struct Cause {
    std::string reason;
    std::string field;
    std::string message;
  };

  int code = 0;         ///< HTTP status
  std::string reason;   ///< "NotFound", "Conflict", "AlreadyExists", "Expired", "Invalid", ...; may be empty
  std::string message;  ///< the server's sentence
  std::vector<Cause> causes;
  std::optional<std::chrono::seconds> retry_after;

  bool not_found() const { return code == 404; }
  bool already_exists() const { return reason == "AlreadyExists"; }
  bool conflict() const { return code == 409 && !already_exists(); }
  /// The asked resourceVersion or continue token is too old: list again.
  bool expired() const { return code == 410 || reason == "Expired" || reason == "Gone"; }
  bool invalid() const { return code == 422; }
  bool forbidden() const { return code == 401 || code == 403; }
  /// The same request may succeed later without a change.
  bool transient() const { return code == 429 || code == 408 || code >= 500; }
  /// "404 NotFound: pods "x" not found"
  std::string text() const;
};

/// No answer came: connection refused or broken, TLS not verified, timeout, not HTTP. Thrown; callers at the
/// edge (work queue, informer) try again later.
class TransportError : public Error {
 public:
  using Error::Error;
};

/// An API answer as an exception, from Result::value().
class ApiException : public Error {
 public:
  explicit ApiException(ApiError error) : Error(error.text()), error_(std::move(error)) {}
  const ApiError& error() const { return error_; }

 private:
  ApiError error_;
};

/// A value, or the API server's refusal.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(ApiError error) : content_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }
  /// Throws ApiException when the server refused.
  T& value() & { return ok() ? std::get<0>(content_) : fail(); }
  const T& value() const& { return ok() ? std::get<0>(content_) : fail(); }
  /// By value, so that a loop over a temporary's value does not outlive it.
  T value() && { return std::move(ok() ? std::get<0>(content_) : fail()); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  /// Only when !ok().
  const ApiError& error() const { return std::get<1>(content_); }

 private:
  [[noreturn]] T& fail() const { throw ApiException(std::get<1>(content_)); }

  std::variant<T, ApiError> content_;
};

}  // namespace stepdown::kube
