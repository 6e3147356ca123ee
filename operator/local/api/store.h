#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace stepdown::local::api {

/// Where an object lies: `storage` is "plural.group"; `space` its namespace, empty for cluster-scoped ones.
struct Key {
  std::string storage;
  std::string space;
  std::string name;
};

enum class ChangeType { kAdded = 0, kModified = 1, kDeleted = 2 };

/// One write as watchers see it. `object` is the state after it (for a deletion the last state with the
/// revision of the deletion), `previous` the state before it.
struct Change {
  std::int64_t revision = 0;
  ChangeType type = ChangeType::kAdded;
  nlohmann::json object;
  nlohmann::json previous;
  std::string storage;
};

struct Page {
  std::vector<nlohmann::json> objects;
  std::int64_t revision = 0;  ///< the snapshot that the page shows
  bool more = false;
};

struct ListQuery {
  std::string storage;
  std::string space;                     ///< empty: all namespaces
  std::optional<std::int64_t> revision;  ///< show this snapshot; unset: the newest
  std::string after_space, after_name;   ///< start behind this key
  std::size_t limit = 0;                 ///< 0: all
};

/// Objects and their history in one SQLite file. Every write gets the next revision and is on disk when the
/// transaction's commit returns. Safe from any thread; writers exclude each other.
class Store {
 public:
  /// `history` revisions are kept for watchers and old snapshots; older ones are Expired.
  Store(const std::filesystem::path& file, std::int64_t history);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  /// Writes made through it become visible together; without commit() they are undone. Holds the store's
  /// lock.
  class Transaction {
   public:
    explicit Transaction(Store& store);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    std::optional<nlohmann::json> get(const Key& key);
    bool any_holding(const std::string& storage, const std::string& text);
    /// Inserts or replaces; stamps metadata.resourceVersion into `object`.
    void put(const Key& key, nlohmann::json& object);
    /// Removes; stamps the deletion's revision into `object`, the last state.
    void remove(const Key& key, nlohmann::json& object);
    /// Once; the lock is let go.
    void commit();

   private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

  std::optional<nlohmann::json> get(const Key& key);
  /// Throws ApiError 410 when the snapshot is compacted.
  Page list(const ListQuery& query);
  std::int64_t revision();
  /// Changes of `storage` (empty: of all; in `space` unless empty) after `revision`, oldest first, at most
  /// `limit`; waits up to `patience` for one. `seen` becomes the revision up to which all is told. Throws
  /// ApiError 410 when compacted.
  std::vector<Change> changes(const std::string& storage, const std::string& space, std::int64_t revision,
                              std::size_t limit, std::chrono::milliseconds patience, std::int64_t& seen);
  /// Every stored object whose text holds `needle`, with its key: how owners find dependents.
  std::vector<std::pair<Key, nlohmann::json>> containing(const std::string& needle);
  /// Ends all waiting in changes().
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stepdown::local::api
