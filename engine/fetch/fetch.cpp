#include "engine/fetch/fetch.h"

#include <atomic>
#include <exception>
#include <fstream>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/hash.h"
#include "engine/base/log.h"
#include "engine/base/system_facts.h"
#include "engine/fetch/download.h"
#include "engine/fetch/journal.h"
#include "engine/fetch/unpack.h"
#include "engine/formats/staging_folder.h"

namespace stepdown::fetch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kReceipt = ".fetched.json";  // hidden files are no part of a model's digest

/// The staging folder's parts: `tree` becomes the result.
struct Workplace {
  fs::path root;
  fs::path journal = root / "journal.json";
  fs::path parts = root / "parts";    ///< transfers on their way
  fs::path packed = root / "packed";  ///< whole archives
  fs::path tree = root / "tree";

  void create() const {
    for (const fs::path& folder : {parts, packed, tree}) fs::create_directories(folder);
  }
  void clear() const {
    for (const fs::path& each : {journal, parts, packed, tree}) fs::remove_all(each);
    create();
  }
  fs::path target(const RemoteFile& file, std::size_t index) const {
    return file.packing == Packing::kPlain ? tree / file.path : packed / std::to_string(index);
  }
};

/// Everything that one fetch works with, in the order in which it is needed.
struct Session {
  explicit Session(const FetchOptions& options)
      : source(parse_source(options.source)),
        credentials(options.credentials),
        http({.ca_file = options.ca_file.empty() ? credentials.path_of("ca.crt") : options.ca_file}),
        remote(open_remote(source, {http, credentials, options.retries})) {}

  Source source;
  Credentials credentials;
  Http http;
  std::unique_ptr<Remote> remote;
};

std::uint64_t total_of(const Listing& listing) {
  std::uint64_t sum = 0;
  for (const RemoteFile& file : listing.files) {
    if (__builtin_add_overflow(sum, file.size, &sum))
      throw InputError("sizes beyond all measure", listing.resolved);
  }
  return sum;
}

std::optional<std::uintmax_t> size_of(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? std::nullopt : std::optional(size);
}

void check_room(const fs::path& folder, std::uint64_t needed) {
  const std::optional<std::uint64_t> free = free_bytes(folder);
  if (free && needed > *free) {
    throw Error("no room: " + std::to_string(needed >> 20U) + " MiB are to come, " +
                    std::to_string(*free >> 20U) + " MiB are free",
                folder.string(), "give a larger volume (spec.storage)");
  }
}

/// The listing to work by: that of a fetch that was killed, while what it asked for is still asked for and
/// still there.
Listing plan(Session& session, const FetchOptions& options, const Workplace& place) {
  const auto before = read_journal(place.journal);
  const bool same = before && before->source == options.source && before->revision == options.revision;
  std::optional<Listing> now;
  if (same && !before->listing.revision.empty()) {
    try {
      now = session.remote->list(before->listing.revision);
    } catch (const InputError& error) {
      log::warn("what was being fetched is gone; beginning again", {{"reason", error.what()}});
    }
  }
  if (!now) now = session.remote->list(options.revision);
  check_listing(*now, options.source);
  if (!same || now->files != before->listing.files) {
    place.clear();
    write_file_atomically(place.journal, to_json({options.source, options.revision, *now}).dump(1));
  }
  place.create();
  return *now;
}

/// The first failure of several threads ends all of them.
class Failure {
 public:
  void keep(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    failed_ = true;
  }
  bool failed() const { return failed_; }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
  std::atomic<bool> failed_{false};
};

Transfer fetch_file(Session& session, const FetchOptions& options, const Workplace& place,
                    const RemoteFile& file, std::size_t index, Meter& meter) {
  const fs::path target = place.target(file, index);
  if (size_of(target) == file.size) {
    meter.add(file.size);
    return {.kept = file.size};
  }
  const fs::path part = place.parts / std::to_string(index);
  meter.note(file.path);
  const Transfer transfer =
      download(session.http, options.retries, *session.remote, file, part, meter, options.source);
  fs::create_directories(target.parent_path());
  fs::rename(part, target);
  return transfer;
}

Transfer fetch_files(Session& session, const FetchOptions& options, const Workplace& place,
                     const Listing& listing) {
  std::uint64_t there = 0;
  for (std::size_t i = 0; i < listing.files.size(); ++i) {
    const fs::path part = place.parts / std::to_string(i);
    there += size_of(place.target(listing.files[i], i)).value_or(size_of(part).value_or(0));
  }
  const std::uint64_t total = total_of(listing);
  check_room(place.root, total - std::min(total, there));
  Meter meter(total);
  std::atomic<std::size_t> next{0};
  std::atomic<std::uint64_t> kept{0}, fetched{0};
  Failure failure;
  {
    std::vector<std::jthread> workers;
    const std::size_t count = std::min<std::size_t>(std::max(1, options.parallel), listing.files.size());
    for (std::size_t i = 0; i < count; ++i) {
      workers.emplace_back([&] {
        for (std::size_t at = next++; at < listing.files.size() && !failure.failed(); at = next++) {
          try {
            const Transfer done = fetch_file(session, options, place, listing.files[at], at, meter);
            kept += done.kept;
            fetched += done.fetched;
          } catch (...) {
            failure.keep(std::current_exception());
          }
        }
      });
    }
  }
  failure.rethrow();
  return {kept, fetched};
}

void unpack_all(const FetchOptions& options, const Workplace& place, const Listing& listing) {
  std::size_t archives = 0, files = 0;
  for (std::size_t i = 0; i < listing.files.size(); ++i) {
    const RemoteFile& file = listing.files[i];
    if (file.packing == Packing::kPlain) continue;
    ++archives;
    check_room(place.root, file.size);
    files += unpack(place.target(file, i), file, place.tree, options.source + " " + file.path);
  }
  if (archives > 0 && files == 0 && archives == listing.files.size()) {
    const bool image = !listing.files.front().below.empty();
    throw InputError(
        image ? "the image holds no folder /models" : "the archives hold no files", options.source,
        image ? "put the model there, as for KServe's modelcars, or push its files as an artifact" : "");
  }
  fs::remove_all(place.packed);  // or they would take their room twice until the result is published
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> out;
  for (auto entry = fs::recursive_directory_iterator(folder); entry != fs::recursive_directory_iterator();
       ++entry) {
    if (entry->path().filename().string().starts_with('.')) {
      if (entry->is_directory()) entry.disable_recursion_pending();
      continue;
    }
    if (entry->is_directory()) sync_to_disk(entry->path());
    if (entry->is_regular_file()) out.push_back(entry->path());
  }
  return out;
}

FetchResult describe(const fs::path& out) {
  FetchResult result{.path = out};
  const std::vector<fs::path> files = files_in(out);
  result.files = files.size();
  for (const fs::path& file : files) result.size += fs::file_size(file);
  if (files.size() == 1 && files[0].parent_path() == out) result.path = files[0];
  return result;
}

void check_digest(const FetchOptions& options, const fs::path& folder) {
  if (options.digest.empty()) return;
  const std::string digest = "sha256:" + artifact_digest(folder);
  if (digest != options.digest) {
    throw InputError("what was fetched has digest " + digest + ", not " + options.digest, options.source,
                     "mend the source, or pin what it holds");
  }
}

/// nullopt: `out` is not there yet.
std::optional<FetchResult> already_there(const FetchOptions& options) {
  if (!fs::exists(options.out)) return std::nullopt;
  if (fs::is_directory(options.out) && fs::is_empty(options.out)) {
    fs::remove(options.out);  // a kubelet makes one where a pod mounts what is not there yet
    return std::nullopt;
  }
  const auto receipt = read_journal(options.out / kReceipt);
  if (!receipt || receipt->source != options.source || receipt->revision != options.revision) {
    throw InputError("something else lies there already", options.out.string(),
                     "give another --out, or remove it");
  }
  check_digest(options, options.out);
  FetchResult result = describe(options.out);
  result.resolved = receipt->listing.resolved;
  result.kept = result.size;
  result.was_there = true;
  return result;
}

}  // namespace

Listing resolve_source(const FetchOptions& options) {
  Session session(options);
  Listing listing = session.remote->list(options.revision);
  check_listing(listing, options.source);
  return listing;
}

FetchResult fetch(const FetchOptions& options) {
  const fs::path out = fs::absolute(options.out).lexically_normal();
  if (auto there = already_there(options)) return std::move(*there);
  Session session(options);
  formats::StagingFolder staging(out.parent_path(), out.filename().string());
  if (auto there = already_there(options)) return std::move(*there);  // while this one waited for another
  const Workplace place{.root = staging.path()};
  const Listing listing = plan(session, options, place);
  const Transfer transfer = fetch_files(session, options, place, listing);
  unpack_all(options, place, listing);
  check_digest(options, place.tree);
  FetchResult result = describe(place.tree);
  write_file_atomically(place.tree / kReceipt, read_file(place.journal));
  sync_to_disk(place.tree);
  staging.publish_file("tree", out);
  fs::remove_all(place.parts);
  fs::remove_all(place.journal);
  result.path = out / fs::relative(result.path, place.tree).lexically_normal();
  if (!result.path.has_filename()) result.path = out;
  if (result.path.filename() == ".") result.path = out;
  result.resolved = listing.resolved;
  result.kept = transfer.kept;
  result.fetched = transfer.fetched;
  return result;
}

}  // namespace stepdown::fetch
