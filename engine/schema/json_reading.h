#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/schema/match_state.h"
#include "engine/schema/schema.h"

namespace stepdown::schema {

/// Readings of a JSON text: where it may stand after the bytes so far; a value.
struct JsonReading {
  std::shared_ptr<const Schema> schema;
  Threads threads;

  explicit JsonReading(std::shared_ptr<const Schema> s) : schema(std::move(s)) { threads.add({}, nullptr); }
  bool accept(unsigned char byte);
  /// As PrefixMatcher::become; both are of one schema.
  bool become(const JsonReading& before, unsigned char byte);
  bool complete() const;
  bool finished() const;
  std::size_t work() const { return threads.work(); }
  std::string key(std::size_t horizon) const;
  std::optional<std::size_t> free_text() const;
  std::optional<PatternPlace> pattern_place() const;
};

}  // namespace stepdown::schema
