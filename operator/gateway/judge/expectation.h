#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/schema/schema.h"

namespace stepdown::gateway {

/// What a request lets one expect of its answer.
struct Expectation {
  bool chat = false;  ///< /v1/chat/completions rather than /v1/completions
  bool stream = false;
  bool greedy = false;  ///< temperature 0: the same request has one answer
  std::uint64_t choices = 1;
  std::shared_ptr<const schema::Schema> schema;  ///< of response_format; null when free text was asked for
};

/// Compiled schemas of the last requests: batch clients send the same one thousands of times.
class SchemaCache {
 public:
  /// The schema of a response_format, whose properties' order counts; null for text, none, and what the
  /// engine will refuse with a 400 itself.
  std::shared_ptr<const schema::Schema> of(const nlohmann::ordered_json& response_format);

 private:
  std::map<std::string, std::shared_ptr<const schema::Schema>> compiled_;
};

Expectation expect(const nlohmann::ordered_json& request, bool chat, SchemaCache& schemas);

}  // namespace stepdown::gateway
