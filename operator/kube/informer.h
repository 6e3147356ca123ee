#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "operator/kube/client.h"
#include "operator/kube/object_cache.h"

namespace stepdown::kube {

/// Keeps a local copy of some objects of one resource true by list and watch: relists after 410, watches
/// again after any break (backoff 0.2 s to 10 s, with jitter), and never forgets what it knows while the
/// server is away. Lists are taken object by object, trimmed and packed as they come, so memory holds what
/// `trim` keeps, packed, and the text of one page.
class Informer {
 public:
  /// What happened to an object. `initial`: found by a list rather than told by the watch; reconcile with low
  /// priority.
  struct Change {
    ObjectKey key;
    ObjectPtr before;  ///< null when it is new
    ObjectPtr after;   ///< null when it is gone
    bool initial = false;
    bool known = false;  ///< learn() was told of this, or of something newer
  };
  using Handler = std::function<void(const Change&)>;

  struct Options {
    ListOptions list;
    /// Drops what the caller never reads; metadata.{name,namespace,resourceVersion} must stay. Default:
    /// managedFields.
    std::function<void(nlohmann::json&)> trim;
    std::chrono::seconds watch_timeout{300};
    /// Words under which an object is found again by indexed(); none by default.
    ObjectCache::Index index;
  };

  Informer(Client client, GroupVersionResource gvr, Options options);
  ~Informer();
  Informer(const Informer&) = delete;
  Informer& operator=(const Informer&) = delete;

  /// Called from the informer's thread for each change; quick, and must not throw. Before start() only.
  void on_change(Handler handler);
  /// Called from the informer's thread once the first list is complete. Before start() only.
  void on_synced(std::function<void()> handler);
  void start();
  /// Ends the thread; the cache stays readable. The destructor calls it.
  void stop();

  /// The first list is complete and its changes were handed out.
  bool synced() const;
  bool wait_synced(std::chrono::milliseconds limit) const;
  /// Why the last list or watch failed; empty while all is well.
  std::string trouble() const;

  /// What a write answered, so that who made it need not wait for the watch to tell: kept where it is newer
  /// than what is known, and told by the watch in its turn. The object must be one that the list would have.
  /// Safe from any thread.
  /// True when it was news.
  bool learn(nlohmann::json object);

  ObjectPtr get(const ObjectKey& key) const;
  std::vector<ObjectPtr> list() const;
  /// Those that the index lists under that word; takes time by their number alone.
  std::vector<ObjectPtr> indexed(const std::string& word) const;
  /// Those for which `wanted` holds.
  std::vector<ObjectPtr> find(const std::function<bool(const nlohmann::json&)>& wanted) const;
  const GroupVersionResource& resource() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::kube
