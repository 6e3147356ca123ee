#pragma once

#include <atomic>
#include <map>
#include <string>

#include "fake_transport.h"
#include <nlohmann/json.hpp>

#include "operator/kube/object.h"

namespace stepdown::kube {

/// Just enough of an API server for one resource: get, create, replace with conflicts, merge patch.
class FakeApi {
 public:
  HttpResponse answer(const HttpRequest& request) {
    if (down)
      return {503, std::nullopt, R"({"kind":"Status","reason":"ServiceUnavailable","message":"down"})"};
    const std::string path = request.path.substr(0, request.path.find('?'));
    if (request.method == "POST") {
      nlohmann::json object = nlohmann::json::parse(request.body);
      const std::string name = key_of(object).name;
      return store(path + "/" + name, std::move(object));
    }
    const auto found = objects.find(path);
    if (found == objects.end()) return {404, std::nullopt, R"({"kind":"Status","reason":"NotFound"})"};
    if (request.method == "GET") return {200, std::nullopt, found->second.dump()};
    nlohmann::json object = nlohmann::json::parse(request.body);
    if (request.method == "PATCH") {
      nlohmann::json merged = found->second;
      merged.merge_patch(object);
      return store(path, std::move(merged));
    }
    if (resource_version_of(object) != resource_version_of(found->second)) {
      return {409, std::nullopt, R"({"kind":"Status","reason":"Conflict"})"};
    }
    return store(path, std::move(object));
  }

  std::map<std::string, nlohmann::json> objects;  ///< by path
  std::atomic<bool> down = false;

 private:
  HttpResponse store(const std::string& path, nlohmann::json object) {
    object["metadata"]["resourceVersion"] = std::to_string(++revision_);
    objects[path] = object;
    return {200, std::nullopt, object.dump()};
  }

  int revision_ = 0;
};

}  // namespace stepdown::kube
