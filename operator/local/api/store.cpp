#include "operator/local/api/store.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>

#include "operator/local/api/api_error.h"
#include "operator/local/api/sqlite.h"

namespace stepdown::local::api {
namespace {

constexpr std::int64_t kCompactEvery = 256;  // writes between two compactions

// FULL: a commit that a client was told of survives a power cut too, as etcd's does.
constexpr const char* kTables = R"(
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA cache_size = -2048;
  CREATE TABLE IF NOT EXISTS objects (storage TEXT, space TEXT, name TEXT, revision INTEGER, body TEXT,
    PRIMARY KEY (storage, space, name)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS history (revision INTEGER PRIMARY KEY, storage TEXT, space TEXT, name TEXT, type INTEGER,
    body TEXT, previous TEXT);
  CREATE INDEX IF NOT EXISTS history_of ON history (storage, revision);
  CREATE TABLE IF NOT EXISTS marks (name TEXT PRIMARY KEY, value INTEGER);
  INSERT OR IGNORE INTO marks VALUES ('revision', 2), ('compacted', 2);
)";

Json parse_stored(std::string_view text) {
  return text.empty() ? Json() : Json::parse(text);
}

ApiError too_old(std::int64_t asked, std::int64_t oldest) {
  return expired("too old resource version: " + std::to_string(asked) + " (" + std::to_string(oldest) + ")");
}

using ObjectKey = std::pair<std::string, std::string>;  // namespace, name

}  // namespace

struct Store::Impl {
  Impl(const std::filesystem::path& file, std::int64_t history) : database(file), keep(history) {
    database.run(kTables);
    sqlite3* handle = database.handle();
    get = std::make_unique<Statement>(handle,
                                      "SELECT body FROM objects WHERE storage=? AND space=? AND name=?");
    put = std::make_unique<Statement>(handle, "INSERT OR REPLACE INTO objects VALUES (?,?,?,?,?)");
    remove =
        std::make_unique<Statement>(handle, "DELETE FROM objects WHERE storage=? AND space=? AND name=?");
    record = std::make_unique<Statement>(handle, "INSERT INTO history VALUES (?,?,?,?,?,?,?)");
    mark = std::make_unique<Statement>(handle, "UPDATE marks SET value=? WHERE name=?");
    since = std::make_unique<Statement>(handle,
                                        "SELECT revision, type, body, previous, space, storage FROM history "
                                        "WHERE storage=? AND revision>? ORDER BY "
                                        "revision LIMIT ?");
    since_any = std::make_unique<Statement>(handle,
                                            "SELECT revision, type, body, previous, space, storage FROM "
                                            "history WHERE revision>? ORDER BY revision LIMIT ?");
    any = std::make_unique<Statement>(handle,
                                      "SELECT 1 FROM objects WHERE storage=? AND instr(body, ?) > 0 LIMIT 1");
    list = std::make_unique<Statement>(
        handle,
        "SELECT space, name, body, revision FROM objects WHERE storage=?1 AND (?2='' OR space=?2) AND "
        "(space, name) > (?3, ?4) ORDER BY space, name LIMIT ?5");
    changed = std::make_unique<Statement>(
        handle, "SELECT space, name, previous FROM history WHERE storage=? AND revision>? ORDER BY revision");
    holding = std::make_unique<Statement>(
        handle, "SELECT storage, space, name, body FROM objects WHERE instr(body, ?) > 0");
    Statement marks(handle, "SELECT value FROM marks WHERE name=?");
    marks.bind("revision").step();
    revision = marks.integer(0);
    marks.reset().bind("compacted").step();
    compacted = marks.integer(0);
  }

  std::optional<Json> read(const Key& key) {
    get->reset().bind(key.storage).bind(key.space).bind(key.name);
    std::optional<Json> object;
    if (get->step()) object = parse_stored(get->text(0));
    get->reset();
    return object;
  }

  /// Called with the lock held, inside a transaction.
  void compact(std::int64_t newest) {
    if (newest - compacted < keep + kCompactEvery) return;
    const std::int64_t until = newest - keep;
    database.run("DELETE FROM history WHERE revision <= " + std::to_string(until));
    mark->reset().bind(until).bind("compacted").step();
    mark->reset();
    compacted = until;
  }

  Database database;
  std::int64_t keep;
  std::mutex mutex;
  std::condition_variable written;
  std::int64_t revision = 1;
  std::int64_t compacted = 0;
  bool stopped = false;
  std::unique_ptr<Statement> get, put, remove, record, mark, since, since_any, any, list, changed, holding;
};

struct Store::Transaction::Impl {
  explicit Impl(Store::Impl& owner) : store(owner), lock(owner.mutex), revision(owner.revision) {}
  Store::Impl& store;
  std::unique_lock<std::mutex> lock;
  std::int64_t revision;
  bool open = true;

  void note(const Key& key, ChangeType type, const std::string& body,
            const std::optional<std::string>& previous) {
    store.record->reset().bind(revision).bind(key.storage).bind(key.space).bind(key.name);
    store.record->bind(static_cast<std::int64_t>(type)).bind(body);
    if (previous) {
      store.record->bind(*previous);
    } else {
      store.record->bind_null();
    }
    store.record->step();
    store.record->reset();
  }

  std::optional<std::string> stored_text(const Key& key) {
    store.get->reset().bind(key.storage).bind(key.space).bind(key.name);
    std::optional<std::string> text;
    if (store.get->step()) text = std::string(store.get->text(0));
    store.get->reset();
    return text;
  }
};

Store::Store(const std::filesystem::path& file, std::int64_t history)
    : impl_(std::make_unique<Impl>(file, history)) {}
Store::~Store() = default;

Store::Transaction::Transaction(Store& store) : impl_(std::make_unique<Impl>(*store.impl_)) {
  impl_->store.database.run("BEGIN IMMEDIATE");
}

Store::Transaction::~Transaction() {
  if (!impl_->open) return;
  try {
    impl_->store.database.run("ROLLBACK");
  } catch (const std::exception&) {
    // SQLite rolled back by itself, which is what was wanted.
    impl_->open = false;
  }
}

std::optional<Json> Store::Transaction::get(const Key& key) {
  return impl_->store.read(key);
}

bool Store::Transaction::any_holding(const std::string& storage, const std::string& text) {
  Statement& any = *impl_->store.any;
  const bool found = any.reset().bind(storage).bind(text).step();
  any.reset();
  return found;
}

void Store::Transaction::put(const Key& key, Json& object) {
  const auto previous = impl_->stored_text(key);
  ++impl_->revision;
  object["metadata"]["resourceVersion"] = std::to_string(impl_->revision);
  const std::string body = object.dump(-1, ' ', false, Json::error_handler_t::replace);
  Statement& put = *impl_->store.put;
  put.reset().bind(key.storage).bind(key.space).bind(key.name).bind(impl_->revision).bind(body).step();
  put.reset();
  impl_->note(key, previous ? ChangeType::kModified : ChangeType::kAdded, body, previous);
}

void Store::Transaction::remove(const Key& key, Json& object) {
  const auto previous = impl_->stored_text(key);
  if (!previous) return;
  ++impl_->revision;
  object["metadata"]["resourceVersion"] = std::to_string(impl_->revision);
  Statement& remove = *impl_->store.remove;
  remove.reset().bind(key.storage).bind(key.space).bind(key.name).step();
  remove.reset();
  impl_->note(key, ChangeType::kDeleted, object.dump(-1, ' ', false, Json::error_handler_t::replace),
              previous);
}

void Store::Transaction::commit() {
  Store::Impl& store = impl_->store;
  if (impl_->revision != store.revision) {
    store.mark->reset().bind(impl_->revision).bind("revision").step();
    store.mark->reset();
    store.compact(impl_->revision);
  }
  store.database.run("COMMIT");
  impl_->open = false;
  store.revision = impl_->revision;
  store.written.notify_all();
  impl_->lock.unlock();
}

std::optional<Json> Store::get(const Key& key) {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->read(key);
}

Page Store::list(const ListQuery& query) {
  const std::scoped_lock lock(impl_->mutex);
  Page page;
  page.revision = query.revision.value_or(impl_->revision);
  std::map<ObjectKey, Json> undone;  // keys changed since the snapshot, as they were in it (null: absent)
  if (page.revision < impl_->revision) {
    if (page.revision < impl_->compacted) throw too_old(page.revision, impl_->compacted);
    Statement& changed = *impl_->changed;
    changed.reset().bind(query.storage).bind(page.revision);
    while (changed.step()) {
      ObjectKey key(changed.text(0), changed.text(1));
      if (!query.space.empty() && key.first != query.space) continue;
      if (undone.contains(key)) continue;
      undone.emplace(std::move(key), changed.null(2) ? Json() : parse_stored(changed.text(2)));
    }
    changed.reset();
  }
  const ObjectKey start(query.after_space, query.after_name);
  const bool bounded = query.limit > 0;
  const std::size_t wanted = bounded ? query.limit + 1 : 0;
  // The overlay can hide rows, so read as many more.
  const std::int64_t rows = bounded ? static_cast<std::int64_t>(wanted + undone.size()) : -1;
  std::map<ObjectKey, Json> found;
  Statement& list = *impl_->list;
  list.reset()
      .bind(query.storage)
      .bind(query.space)
      .bind(query.after_space)
      .bind(query.after_name)
      .bind(rows);
  while (list.step()) {
    ObjectKey key(list.text(0), list.text(1));
    if (!undone.contains(key)) found.emplace(std::move(key), parse_stored(list.text(2)));
  }
  list.reset();
  for (auto& [key, object] : undone) {
    if (!object.is_null() && key > start) found.emplace(key, std::move(object));
  }
  for (auto& [key, object] : found) {
    if (bounded && page.objects.size() == query.limit) {
      page.more = true;
      break;
    }
    page.objects.push_back(std::move(object));
  }
  return page;
}

std::int64_t Store::revision() {
  const std::scoped_lock lock(impl_->mutex);
  return impl_->revision;
}

std::vector<Change> Store::changes(const std::string& storage, const std::string& space,
                                   std::int64_t revision, std::size_t limit,
                                   std::chrono::milliseconds patience, std::int64_t& seen) {
  std::unique_lock lock(impl_->mutex);
  impl_->written.wait_for(lock, patience, [&] { return impl_->stopped || impl_->revision > revision; });
  if (revision < impl_->compacted) throw too_old(revision, impl_->compacted);
  std::vector<Change> changes;
  Statement& since = storage.empty() ? *impl_->since_any : *impl_->since;
  since.reset();
  if (!storage.empty()) since.bind(storage);
  since.bind(revision).bind(static_cast<std::int64_t>(limit));
  std::size_t rows = 0;
  std::int64_t last = revision;
  while (since.step()) {
    ++rows;
    last = since.integer(0);
    if (!space.empty() && since.text(4) != space) continue;
    changes.push_back({last, static_cast<ChangeType>(since.integer(1)), parse_stored(since.text(2)),
                       parse_stored(since.text(3)), std::string(since.text(5))});
  }
  since.reset();
  seen = rows == limit ? last : std::max(revision, impl_->revision);
  return changes;
}

std::vector<std::pair<Key, Json>> Store::containing(const std::string& needle) {
  const std::scoped_lock lock(impl_->mutex);
  std::vector<std::pair<Key, Json>> found;
  Statement& holding = *impl_->holding;
  holding.reset().bind(needle);
  while (holding.step()) {
    found.emplace_back(
        Key{std::string(holding.text(0)), std::string(holding.text(1)), std::string(holding.text(2))},
        parse_stored(holding.text(3)));
  }
  holding.reset();
  return found;
}

void Store::stop() {
  const std::scoped_lock lock(impl_->mutex);
  impl_->stopped = true;
  impl_->written.notify_all();
}

}  // namespace stepdown::local::api
