#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "engine/fetch/remote.h"

namespace stepdown::fetch {

/// What a fetch was about when it began, so that one that was killed goes on with the same files, even though
/// a tag or branch has moved meanwhile.
struct Journal {
  std::string source;
  std::string revision;  ///< as the user asked for it
  Listing listing;
};

nlohmann::json to_json(const Journal& journal);
/// nullopt: none, or one that another version wrote.
std::optional<Journal> read_journal(const std::filesystem::path& path);

}  // namespace stepdown::fetch
