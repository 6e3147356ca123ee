#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "operator/kube/transport.h"

namespace stepdown::kube {

/// Answers requests by a function; remembers them.
class FakeTransport final : public Transport {
 public:
  using Answer = std::function<HttpResponse(const HttpRequest&)>;

  explicit FakeTransport(Answer answer) : answer_(std::move(answer)) {}

  HttpResponse send(const HttpRequest& request) override {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    return answer_(request);
  }

  /// The whole body of a 200 answer as one chunk, then the end.
  HttpResponse stream(const HttpRequest& request, std::chrono::milliseconds,
                      const std::function<bool(std::string_view)>& on_chunk, std::stop_token) override {
    HttpResponse response = send(request);
    if (response.status == 200) on_chunk(response.body);
    return response;
  }

  std::vector<HttpRequest> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  Answer answer_;
  mutable std::mutex mutex_;
  std::vector<HttpRequest> requests_;
};

}  // namespace stepdown::kube
