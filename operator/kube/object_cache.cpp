#include "operator/kube/object_cache.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "operator/kube/object_packer.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;

/// Of 100,000 objects each byte is 100 KB: the resourceVersion stands before the packed object, and the map's
/// key is one string.
struct Entry {
  std::string text;
  std::uint32_t version_size = 0;
  std::uint32_t mark = 0;  ///< the list that saw it last

  std::string_view version() const { return std::string_view(text).substr(0, version_size); }
  std::string_view packed() const { return std::string_view(text).substr(version_size); }
};
using Entries = std::unordered_map<std::string, Entry>;
using Place = const Entries::value_type*;  // stays while the entry does

std::size_t hash_of(std::string_view word) {
  return std::hash<std::string_view>()(word);
}

}  // namespace

struct ObjectCache::State {
  explicit State(Index words_of) : words(std::move(words_of)) {}

  void index_object(const json& object, Place place) {
    if (!words) return;
    for (const std::string& word : words(object)) index[hash_of(word)].push_back(place);
  }
  void unindex(const json& object, Place place) {
    if (!words) return;
    for (const std::string& word : words(object)) {
      const auto found = index.find(hash_of(word));
      if (found == index.end()) continue;
      std::erase(found->second, place);
      if (found->second.empty()) index.erase(found);
    }
  }
  ObjectPtr unpacked(std::string_view packed) const {
    return std::make_shared<const json>(packer.unpack(packed));
  }
  /// Takes the entry out of map and index.
  Change removed(Entries::iterator entry) {
    Change change{{}, unpacked(entry->second.packed()), nullptr};
    change.key = key_of(*change.before);
    unindex(*change.before, &*entry);
    entries.erase(entry);
    return change;
  }

  const Index words;
  ObjectPacker packer;
  mutable std::mutex mutex;
  Entries entries;
  std::unordered_map<std::size_t, std::vector<Place>> index;  ///< by a word's hash: indexed() looks again
  unsigned mark = 0;
};

ObjectCache::ObjectCache(Index index) : state_(std::make_unique<State>(std::move(index))) {}
ObjectCache::~ObjectCache() = default;

bool ObjectCache::seen(const ObjectKey& key, const std::string& resource_version) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->entries.find(key.text());
  if (found == state_->entries.end() || found->second.version() != resource_version) return false;
  found->second.mark = state_->mark;
  return true;
}

ObjectCache::Change ObjectCache::put(json&& object) {
  Change change{key_of(object), nullptr, nullptr};
  std::string packed = state_->packer.pack(object);
  change.after = std::make_shared<const json>(std::move(object));
  const std::lock_guard lock(state_->mutex);
  const auto [entry, is_new] = state_->entries.try_emplace(change.key.text());
  if (!is_new) {
    change.before = state_->unpacked(entry->second.packed());
    state_->unindex(*change.before, &*entry);
  }
  const std::string version = resource_version_of(*change.after);
  std::string text;
  text.reserve(version.size() + packed.size());
  text.append(version).append(packed);
  entry->second = {std::move(text), static_cast<std::uint32_t>(version.size()), state_->mark};
  state_->index_object(*change.after, &*entry);
  return change;
}

ObjectCache::Change ObjectCache::erase(const ObjectKey& key) {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->entries.find(key.text());
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
    const auto found = state_->entries.find(key.text());
    if (found == state_->entries.end()) return nullptr;
    packed = found->second.packed();
  }
  return state_->unpacked(packed);
}

std::string ObjectCache::version(const ObjectKey& key) const {
  const std::lock_guard lock(state_->mutex);
  const auto found = state_->entries.find(key.text());
  return found == state_->entries.end() ? "" : std::string(found->second.version());
}

std::vector<ObjectPtr> ObjectCache::indexed(const std::string& word) const {
  std::vector<std::string> packed;
  {
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->index.find(hash_of(word));
    if (found == state_->index.end()) return {};
    packed.reserve(found->second.size());
    for (const Place place : found->second) packed.emplace_back(place->second.packed());
  }
  std::vector<ObjectPtr> out;
  out.reserve(packed.size());
  for (const std::string& each : packed) {
    ObjectPtr object = state_->unpacked(each);
    const std::vector<std::string> words = state_->words(*object);
    if (std::ranges::find(words, word) != words.end()) out.push_back(std::move(object));
  }
  return out;
}

std::vector<ObjectPtr> ObjectCache::find(const std::function<bool(const json&)>& wanted) const {
  std::vector<ObjectPtr> out;
  const std::lock_guard lock(state_->mutex);
  for (const auto& [key, entry] : state_->entries) {
    if (ObjectPtr object = state_->unpacked(entry.packed()); wanted(*object))
      out.push_back(std::move(object));
  }
  return out;
}

}  // namespace stepdown::kube
