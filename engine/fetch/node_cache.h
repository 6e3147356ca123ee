#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

/// Copies of models on a volume of the node's own, so that a server there starts from a local disk rather
/// than over the network. A copy is named by its digest and checked against it whenever a server starts;
/// where there is no room, servers read the volume that they would read without a cache. Programs share the
/// folder through flock, so a killed one holds nothing.
namespace stepdown::fetch {

struct NodeCacheRequest {
  std::filesystem::path cache;  ///< folder on the node's volume
  std::filesystem::path model;  ///< file or folder
  std::string digest;           ///< "sha256:…" that it has
  std::uint64_t limit = 0;      ///< bytes of all copies
};

struct NodeCacheResult {
  std::filesystem::path copy;  ///< empty: there is none
  std::string why_not;
  bool was_there = false;
  std::uint64_t size = 0;
  std::vector<std::string> evicted;  ///< digests whose copies made room
};

/// Copies the model unless a whole copy is there. The least recently used copies that nothing holds make
/// room. A cache that is full or broken is no error: why_not tells. Throws InputError when the model has
/// another digest, or cannot be read.
NodeCacheResult copy_to_node(const NodeCacheRequest& request);

/// While it lives, the copy of that digest is not evicted.
class NodeCacheHold {
 public:
  NodeCacheHold(std::filesystem::path cache, const std::string& digest);
  ~NodeCacheHold();
  NodeCacheHold(const NodeCacheHold&) = delete;
  NodeCacheHold& operator=(const NodeCacheHold&) = delete;

 private:
  std::filesystem::path copy_;
  int lock_ = -1;
};

}  // namespace stepdown::fetch
