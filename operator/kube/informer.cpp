#include "operator/kube/informer.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/kube/watch.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kFirstDelay{200};
constexpr milliseconds kLongestDelay{10'000};
/// A watch that ends sooner than this counts as a failure: else a server that closes at once would be
/// hammered.
constexpr milliseconds kShortWatch{1'000};

void drop_managed_fields(json& object) {
  if (object.contains("metadata") && object["metadata"].is_object())
    object["metadata"].erase("managedFields");
}

}  // namespace

struct Informer::State {
  State(Client c, GroupVersionResource r, Options o)
      : client(std::move(c)), gvr(std::move(r)), options(std::move(o)) {
    if (!options.trim) options.trim = drop_managed_fields;
  }

  using Cache = std::unordered_map<ObjectKey, ObjectPtr>;

  void add_to_index(const ObjectPtr& object) {
    if (!options.index) return;
    for (const std::string& word : options.index(*object)) index[word].insert(object);
  }
  void remove_from_index(const ObjectPtr& object) {
    if (!options.index) return;
    for (const std::string& word : options.index(*object)) {
      const auto found = index.find(word);
      if (found == index.end()) continue;
      found->second.erase(object);
      if (found->second.empty()) index.erase(found);
    }
  }

  void run(const std::stop_token& stop) {
    milliseconds delay = kFirstDelay;
    while (!stop.stop_requested()) {
      const auto began = std::chrono::steady_clock::now();
      const std::string failure = list_or_watch(stop);
      const bool lasted = std::chrono::steady_clock::now() - began >= kShortWatch;
      set_trouble(failure);
      if (failure.empty() && (lasted || relist)) {
        delay = kFirstDelay;
        continue;
      }
      pause(delay, stop);
      delay = lasted ? kFirstDelay : std::min(delay * 2, kLongestDelay);
    }
  }

  /// One list, when due, and one watch. Empty, or why it failed.
  std::string list_or_watch(const std::stop_token& stop) {
    try {
      if (relist) {
        const auto refusal = list_once();
        if (refusal) return refusal->text();
        relist = false;
      }
      WatchOptions watch;
      static_cast<ListOptions&>(watch) = options.list;
      watch.timeout = options.watch_timeout;
      watch.resource_version = resource_version;
      const auto ended = client.watch(
          gvr, watch,
          [this](WatchEvent&& event) {
            take(std::move(event));
            return true;
          },
          stop);
      if (ended) return {};
      relist = ended.error().expired();
      return relist ? std::string() : ended.error().text();
    } catch (const Error& error) {
      return error.what();
    }
  }

  std::optional<ApiError> list_once() {
    Cache fresh;
    const auto listed =
        client.list(gvr, options.list, [&](json&& object) { keep(fresh, std::move(object)); });
    if (!listed) return listed.error();
    resource_version = *listed;
    std::vector<Change> changes;
    {
      const std::lock_guard lock(mutex);
      for (const auto& [key, object] : fresh) {
        const auto known = cache.find(key);
        if (known == cache.end()) {
          changes.push_back({key, nullptr, object, true});
        } else if (known->second != object) {
          changes.push_back({key, known->second, object, true});
        }
      }
      for (const auto& [key, object] : cache) {
        if (!fresh.contains(key)) changes.push_back({key, object, nullptr, true});
      }
      cache.swap(fresh);
      for (const Change& change : changes) {
        if (change.before) remove_from_index(change.before);
        if (change.after) add_to_index(change.after);
      }
    }
    for (const Change& change : changes) tell(change);
    {
      const std::lock_guard lock(mutex);
      synced = true;
    }
    changed.notify_all();
    return std::nullopt;
  }

  /// Objects that did not change keep their place in memory, so that a relist holds no second copy.
  void keep(Cache& fresh, json&& object) {
    options.trim(object);
    const ObjectKey key = key_of(object);
    {
      const std::lock_guard lock(mutex);
      const auto known = cache.find(key);
      if (known != cache.end() && resource_version_of(*known->second) == resource_version_of(object)) {
        fresh.emplace(key, known->second);
        return;
      }
    }
    fresh.emplace(key, std::make_shared<const json>(std::move(object)));
  }

  void take(WatchEvent&& event) {
    const std::string seen = resource_version_of(event.object);
    if (!seen.empty()) resource_version = seen;
    if (event.type == WatchEventType::kBookmark) return;
    options.trim(event.object);
    Change change{key_of(event.object), nullptr, nullptr, false};
    if (event.type != WatchEventType::kDeleted)
      change.after = std::make_shared<const json>(std::move(event.object));
    {
      const std::lock_guard lock(mutex);
      const auto known = cache.find(change.key);
      if (known != cache.end()) change.before = known->second;
      if (change.before) remove_from_index(change.before);
      if (change.after) add_to_index(change.after);
      if (change.after) {
        cache[change.key] = change.after;
      } else if (known != cache.end()) {
        cache.erase(known);
      }
    }
    if (change.before || change.after) tell(change);
  }

  void tell(const Change& change) const {
    for (const Handler& handler : handlers) handler(change);
  }

  void set_trouble(const std::string& failure) {
    const std::lock_guard lock(mutex);
    if (!failure.empty() && trouble.empty()) {
      log::warn("cannot list or watch; trying again", {{"resource", gvr.resource}, {"error", failure}});
    }
    if (failure.empty() && !trouble.empty()) log::info("watching again", {{"resource", gvr.resource}});
    trouble = failure;
  }

  void pause(milliseconds delay, const std::stop_token& stop) {
    std::uniform_int_distribution<std::int64_t> jitter(0, delay.count() / 2);
    std::unique_lock lock(mutex);
    changed.wait_for(lock, stop, delay + milliseconds(jitter(random)), [] { return false; });
  }

  Client client;
  const GroupVersionResource gvr;
  Options options;
  std::vector<Handler> handlers;
  // Of the informer's thread alone:
  bool relist = true;
  std::string resource_version;
  std::mt19937 random{std::random_device{}()};

  mutable std::mutex mutex;
  mutable std::condition_variable_any changed;
  Cache cache;
  std::unordered_map<std::string, std::set<ObjectPtr>> index;
  bool synced = false;
  std::string trouble;
  std::jthread thread;
};

Informer::Informer(Client client, GroupVersionResource gvr, Options options)
    : state_(std::make_unique<State>(std::move(client), std::move(gvr), std::move(options))) {}

Informer::~Informer() {
  stop();
}

void Informer::on_change(Handler handler) {
  state_->handlers.push_back(std::move(handler));
}

void Informer::start() {
  state_->thread = std::jthread([state = state_.get()](const std::stop_token& stop) { state->run(stop); });
}

void Informer::stop() {
  state_->thread.request_stop();
  if (state_->thread.joinable()) state_->thread.join();
}

bool Informer::synced() const {
  const std::lock_guard lock(state_->mutex);
  return state_->synced;
}

bool Informer::wait_synced(milliseconds limit) const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, limit, [this] { return state_->synced; });
}

std::string Informer::trouble() const {
  const std::lock_guard lock(state_->mutex);
  return state_->trouble;
}

ObjectPtr Informer::get(const ObjectKey& key) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->cache.find(key);
  return found == state_->cache.end() ? nullptr : found->second;
}

std::vector<ObjectPtr> Informer::list() const {
  return find([](const json&) { return true; });
}

std::vector<ObjectPtr> Informer::indexed(const std::string& word) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->index.find(word);
  if (found == state_->index.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<ObjectPtr> Informer::find(const std::function<bool(const json&)>& wanted) const {
  std::vector<ObjectPtr> found;
  const std::lock_guard lock(state_->mutex);
  for (const auto& [key, object] : state_->cache) {
    if (wanted(*object)) found.push_back(object);
  }
  return found;
}

const GroupVersionResource& Informer::resource() const {
  return state_->gvr;
}

}  // namespace stepdown::kube
