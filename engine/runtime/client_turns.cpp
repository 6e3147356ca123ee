#include "engine/runtime/client_turns.h"

#include <algorithm>

namespace stepdown::runtime {

std::int64_t ClientTurns::next(const std::string& client) {
  if (last_.size() > remembered_)
    std::erase_if(last_, [this](const auto& one) { return one.second <= now_; });
  const auto [place, is_new] = last_.try_emplace(client, now_);
  if (!is_new) place->second = std::max(place->second + 1, now_);
  return place->second;
}

void ClientTurns::serve(std::int64_t turn) {
  now_ = std::max(now_, turn);
}

}  // namespace stepdown::runtime
