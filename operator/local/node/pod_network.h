#pragma once

#include <filesystem>

namespace stepdown::local {

/// The 127.<number>.x.y of a node agent's pods: no other agent of this machine gives addresses there while
/// this one lives, whatever ends it.
class PodNetwork {
 public:
  /// The network that the folder's pods had before, else the first free one from where its name points.
  /// Throws Error where none is free.
  explicit PodNetwork(const std::filesystem::path& dir);
  ~PodNetwork();
  PodNetwork(const PodNetwork&) = delete;
  PodNetwork& operator=(const PodNetwork&) = delete;

  int number() const { return number_; }

 private:
  int socket_ = -1;
  int number_ = 0;
};

}  // namespace stepdown::local
