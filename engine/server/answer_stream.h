#pragma once

#include <string>
#include <vector>

#include "engine/server/api_error.h"
#include "engine/server/generation.h"

namespace stepdown::server {

/// A generation's updates as the server-sent events of one API.
class AnswerStream {
 public:
  virtual ~AnswerStream() = default;
  /// What the update leads to, the end of the stream included; empty when it says nothing yet.
  virtual std::string events(Generation& generation, const Generation::Update& update) = 0;
  /// What tells of an error that ends it.
  virtual std::string failure(const ApiError& error) = 0;
};

/// Chunks of chat completions and completions.
class ChunkStream final : public AnswerStream {
 public:
  explicit ChunkStream(std::size_t choices) : begun_(choices) {}
  std::string events(Generation& generation, const Generation::Update& update) override;
  std::string failure(const ApiError& error) override;

 private:
  std::vector<bool> begun_;
};

}  // namespace stepdown::server
