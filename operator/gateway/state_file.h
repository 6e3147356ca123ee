#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "operator/gateway/cluster/snapshot.h"

namespace stepdown::gateway {

/// What outlives a restart of the gateway: its trips, and the last routes, so that it serves at once and
/// without the API server. One JSON file, replaced atomically.
class StateFile {
 public:
  /// Makes the folder; throws InputError when it cannot be written to.
  explicit StateFile(const std::filesystem::path& folder);

  /// Empty when there is no file, or none that can be read (which is logged): then peers and status are
  /// asked.
  std::optional<Snapshot> load() const;
  /// Logs what fails: the data path goes on.
  void save(const Snapshot& snapshot, const Trips& trips);

 private:
  std::filesystem::path path_;
  std::string written_;
};

}  // namespace stepdown::gateway
