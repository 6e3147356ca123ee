#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/kube/object.h"

namespace stepdown::kube {

using ObjectPtr = std::shared_ptr<const nlohmann::json>;

/// The objects of one resource, packed, so that 100,000 of them fit some tens of megabytes; each reader gets
/// a copy of its own. One thread writes at a time; reading is safe from any.
class ObjectCache {
 public:
  using Index = std::function<std::vector<std::string>(const nlohmann::json&)>;

  /// `index`: words under which an object is found again by indexed(); may be empty.
  explicit ObjectCache(Index index);
  ~ObjectCache();

  /// What a put() or sweep() changed; `before` is empty for a new object, `after` for one that is gone.
  struct Change {
    ObjectKey key;
    ObjectPtr before;
    ObjectPtr after;
  };

  /// An object of this very resourceVersion is known already: it only counts as seen, and nothing changed.
  bool seen(const ObjectKey& key, const std::string& resource_version);
  Change put(nlohmann::json&& object);
  Change erase(const ObjectKey& key);
  /// Begins a list: what neither seen() nor put() touches until sweep() is gone by then.
  void mark();
  std::vector<Change> sweep();

  ObjectPtr get(const ObjectKey& key) const;
  /// The resourceVersion of what get() gives; empty where there is none.
  std::string version(const ObjectKey& key) const;
  std::vector<ObjectPtr> indexed(const std::string& word) const;
  /// Takes as long as unpacking all of them.
  std::vector<ObjectPtr> find(const std::function<bool(const nlohmann::json&)>& wanted) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::kube
