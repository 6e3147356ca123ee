#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/runtime/token_index.h"
#include "engine/schema/schema.h"

namespace stepdown::runtime {

using TokenMask = std::vector<std::uint32_t>;

/// The tokens after which the text is still a prefix of the language; end tokens are not in it.
TokenMask compute_mask(const TokenIndex& index, const schema::PrefixMatcher& matcher);

/// Masks of one schema by the matcher's state. Thread-safe; computes outside the lock.
class TokenMaskCache {
 public:
  explicit TokenMaskCache(const TokenIndex& index) : index_(index) {}
  std::shared_ptr<const TokenMask> get(const schema::PrefixMatcher& matcher);

 private:
  const TokenIndex& index_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<const TokenMask>> masks_;
};

}  // namespace stepdown::runtime
