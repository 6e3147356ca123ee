#include "operator/kube/informer.h"

#include <charconv>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

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
/// So many watches in a row that broke before an event came are no way to hear of changes: a list is.
constexpr int kFruitlessWatches = 2;

void drop_managed_fields(json& object) {
  if (object.contains("metadata") && object["metadata"].is_object())
    object["metadata"].erase("managedFields");
}

/// Versions of one resource rise; where they are no numbers, nothing is said about which is newer.
std::optional<std::uint64_t> number_of(const std::string& version) {
  std::uint64_t number = 0;
  const char* end = version.data() + version.size();
  const auto read = std::from_chars(version.data(), end, number);
  return !version.empty() && read.ec == std::errc() && read.ptr == end ? std::optional(number) : std::nullopt;
}

}  // namespace

struct Informer::State {
  State(Client c, GroupVersionResource r, Options o)
      : client(std::move(c)), gvr(std::move(r)), options(std::move(o)), cache(options.index) {
    if (!options.trim) options.trim = drop_managed_fields;
  }

  void run(const std::stop_token& stop) {
    milliseconds delay = kFirstDelay;
    while (!stop.stop_requested()) {
      const auto began = std::chrono::steady_clock::now();
      const std::string failure = list_or_watch(stop);
      const bool lasted = heard || std::chrono::steady_clock::now() - began >= kShortWatch;
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
    heard = false;
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
            heard = true;
            take(std::move(event));
            return true;
          },
          stop);
      if (ended) return {};
      fruitless = heard ? 0 : fruitless + 1;
      relist = ended.error().expired() || fruitless >= kFruitlessWatches;
      return ended.error().expired() ? std::string() : ended.error().text();
    } catch (const Error& error) {
      return error.what();
    }
  }

  std::optional<ApiError> list_once() {
    set_watched({});  // what is learned now could be swept, or stay though the list shows that it is gone
    cache.mark();
    const auto listed = client.list(gvr, options.list, [&](json&& object) { keep(std::move(object)); });
    if (!listed) return listed.error();
    resource_version = *listed;
    set_watched(*listed);
    for (const ObjectCache::Change& gone : cache.sweep()) tell(gone, /*initial=*/true);
    bool first = false;
    {
      const std::lock_guard lock(mutex);
      first = !std::exchange(synced, true);
    }
    changed.notify_all();
    if (first && told_synced) told_synced();
    return std::nullopt;
  }

  void keep(json&& object) {
    if (cache.seen(key_of(object), resource_version_of(object))) return;
    ObjectCache::Change change;
    {
      const std::lock_guard lock(writing);
      options.trim(object);
      change = cache.put(std::move(object));
    }
    tell(change, /*initial=*/true);
  }

  void take(WatchEvent&& event) {
    const std::string seen = resource_version_of(event.object);
    if (!seen.empty()) resource_version = seen;
    const ObjectKey key = key_of(event.object);
    ObjectCache::Change change{key, nullptr, nullptr};
    bool known = false;
    {
      const std::lock_guard lock(writing);
      if (const auto version = number_of(seen)) watched = version;
      if (event.type == WatchEventType::kBookmark) return;
      const bool deleted = event.type == WatchEventType::kDeleted;
      const std::string cached = cache.version(key);
      const bool same = !deleted && !seen.empty() && seen == cached;
      known = same || is_older(seen, cached);
      if (same) {
        options.trim(event.object);
        change.before = change.after = std::make_shared<const json>(std::move(event.object));
      } else if (known) {
        change.before = change.after = cache.get(key);
      } else if (deleted) {
        change = cache.erase(key);
      } else {
        options.trim(event.object);
        change = cache.put(std::move(event.object));
      }
    }
    tell(change, /*initial=*/false, known);
  }

  bool learn(json&& object) {
    const std::string version = resource_version_of(object);
    const std::lock_guard lock(writing);
    // What the watch is past it has told of, and may have told since that it is gone.
    const ObjectKey key = key_of(object);
    if (!watched || number_of(version).value_or(0) <= *watched) return false;
    if (const std::string cached = cache.version(key); version == cached || is_older(version, cached))
      return false;
    options.trim(object);
    (void)cache.put(std::move(object));
    return true;
  }

  static bool is_older(const std::string& version, const std::string& cached) {
    const auto told = number_of(version), known = number_of(cached);
    return told && known && *told < *known;
  }

  void set_watched(const std::string& version) {
    const std::lock_guard lock(writing);
    watched = number_of(version);
  }

  void tell(const ObjectCache::Change& what, bool initial, bool known = false) const {
    if (!what.before && !what.after) return;
    const Change change{what.key, what.before, what.after, initial, known};
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
  ObjectCache cache;
  std::vector<Handler> handlers;
  std::function<void()> told_synced;
  // Of the informer's thread alone:
  bool relist = true;
  bool heard = false;  ///< an event on the last watch
  int fruitless = 0;   ///< watches in a row that broke without an event
  std::string resource_version;
  std::mt19937 random{std::random_device{}()};

  std::mutex writing;                    ///< of the cache, by watch and learn()
  std::optional<std::uint64_t> watched;  ///< how far the watch has told; nothing may be learned without it

  mutable std::mutex mutex;
  mutable std::condition_variable_any changed;
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

void Informer::on_synced(std::function<void()> handler) {
  state_->told_synced = std::move(handler);
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

bool Informer::learn(json object) {
  return state_->learn(std::move(object));
}

ObjectPtr Informer::get(const ObjectKey& key) const {
  return state_->cache.get(key);
}

std::vector<ObjectPtr> Informer::list() const {
  return find([](const json&) { return true; });
}

std::vector<ObjectPtr> Informer::indexed(const std::string& word) const {
  return state_->cache.indexed(word);
}

std::vector<ObjectPtr> Informer::find(const std::function<bool(const json&)>& wanted) const {
  return state_->cache.find(wanted);
}

const GroupVersionResource& Informer::resource() const {
  return state_->gvr;
}

}  // namespace stepdown::kube
