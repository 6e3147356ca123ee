#include "operator/kube/object_cache.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "operator/kube/object_packer.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;

struct Entry {
  std::string packed;
  std::string resource_version;
  unsigned mark = 0;  ///< the list that saw it last
};
using Entries = std::unordered_map<ObjectKey, Entry>;
using Place = const Entries::value_type*;  // stays while the entry does

}  // namespace

struct ObjectCache::State {
  explicit State(Index words_of) : words(std::move(words_of)) {}

  void index_object(const json& object, Place place) {
    if (!words) return;
    for (const std::string& word : words(object)) index[word].push_back(place);
  }
  void unindex(const json& object, Place place) {
    if (!words) return;
    for (const std::string& word : words(object)) {
      const auto found = index.find(word);
      if (found == index.end()) continue;
      std::erase(found->second, place);
      if (found->second.empty()) index.erase(found);
    }
  }
  ObjectPtr unpacked(const std::string& packed) const {
    return std::make_shared<const json>(packer.unpack(packed));
  }
  /// Takes the entry out of map and index.
  Change removed(Entries::iterator entry) {
    Change change{entry->first, unpacked(entry->second.packed), nullptr};
    unindex(*change.before, &*entry);
    entries.erase(entry);
    return change;
  }

  const Index words;
  ObjectPacker packer;
  mutable std::mutex mutex;
  Entries entries;
  std::unordered_map<std::string, std::vector<Place>> index;
  unsigned mark = 0;
};

ObjectCache::ObjectCache(Index index) : state_(std::make_unique<State>(std::move(index))) {}
ObjectCache::~ObjectCache() = default;

bool ObjectCache::seen(const ObjectKey& key, const std::string& resource_version) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->entries.find(key);
  if (found == state_->entries.end() || found->second.resource_version != resource_version) return false;
  found->second.mark = state_->mark;
  return true;
}

ObjectCache::Change ObjectCache::put(json&& object) {
  Change change{key_of(object), nullptr, nullptr};
  std::string packed = state_->packer.pack(object);
  change.after = std::make_shared<const json>(std::move(object));
  const std::lock_guard lock(state_->mutex);
  const auto [entry, is_new] = state_->entries.try_emplace(change.key);
  if (!is_new) {
    change.before = state_->unpacked(entry->second.packed);
    state_->unindex(*change.before, &*entry);
  }
  entry->second = {std::move(packed), resource_version_of(*change.after), state_->mark};
  state_->index_object(*change.after, &*entry);
  return change;
}

ObjectCache::Change ObjectCache::erase(const ObjectKey& key) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->entries.find(key);
  if (found == state_->entries.end()) return {key, nullptr, nullptr};
  return state_->removed(found);
}

void ObjectCache::mark() {
  const std::lock_guard lock(state_->mutex);
  ++state_->mark;
}

std::vector<ObjectCache::Change> ObjectCache::sweep() {
  std::vector<Change> gone;
  const std::lock_guard lock(state_->mutex);
  for (auto entry = state_->entries.begin(); entry != state_->entries.end();) {
    const auto next = std::next(entry);
    if (entry->second.mark != state_->mark) gone.push_back(state_->removed(entry));
    entry = next;
  }
  return gone;
}

ObjectPtr ObjectCache::get(const ObjectKey& key) const {
  std::string packed;
  {
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->entries.find(key);
    if (found == state_->entries.end()) return nullptr;
    packed = found->second.packed;
  }
  return state_->unpacked(packed);
}

std::string ObjectCache::version(const ObjectKey& key) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->entries.find(key);
  return found == state_->entries.end() ? "" : found->second.resource_version;
}

std::vector<ObjectPtr> ObjectCache::indexed(const std::string& word) const {
  std::vector<std::string> packed;
  {
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->index.find(word);
    if (found == state_->index.end()) return {};
    packed.reserve(found->second.size());
    for (const Place place : found->second) packed.push_back(place->second.packed);
  }
  std::vector<ObjectPtr> out;
  out.reserve(packed.size());
  for (const std::string& each : packed) out.push_back(state_->unpacked(each));
  return out;
}

std::vector<ObjectPtr> ObjectCache::find(const std::function<bool(const json&)>& wanted) const {
  std::vector<ObjectPtr> out;
  const std::lock_guard lock(state_->mutex);
  for (const auto& [key, entry] : state_->entries) {
    if (ObjectPtr object = state_->unpacked(entry.packed); wanted(*object)) out.push_back(std::move(object));
  }
  return out;
}

}  // namespace stepdown::kube
