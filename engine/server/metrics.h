#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/runtime/engine.h"

namespace stepdown::server {

/// What /metrics shows, under the names that vLLM's dashboards chart. Thread-safe.
class Metrics {
 public:
  Metrics(const std::string& model, const std::string& revision);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// A prompt was computed, or found in the cache.
  void prompt_tokens(std::int64_t count);
  /// A token came `seconds` after the one before, or after the request when it is the first.
  void token(double seconds, bool first);
  /// A choice ended: "stop", "length", "abort" or "error".
  void finished(const std::string& reason, double seconds);
  /// Where a finished sequence's time went.
  void timing(const runtime::Timing& timing);
  void answered(const std::string& path, int status);

  /// Prometheus text format 0.0.4. `predicted_memory`: bytes, where it is known.
  std::string expose(const runtime::EngineStats& stats,
                     std::optional<std::int64_t> predicted_memory = std::nullopt);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::server
