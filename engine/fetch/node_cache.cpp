#include "engine/fetch/node_cache.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/log.h"
#include "engine/base/progress.h"
#include "engine/base/system_facts.h"
#include "engine/formats/staging_folder.h"

namespace stepdown::fetch {
namespace {

namespace fs = std::filesystem;

/// Between a copy's check and the moment when its server holds it: image pulls and slow starts included.
constexpr std::chrono::minutes kStarting{30};
constexpr std::size_t kPiece = 4U << 20U;
constexpr const char* kLocks = ".locks";
constexpr const char* kModel = "model";  // of a copy's folder

std::string hex_of(const std::string& digest) {
  constexpr std::string_view kPrefix = "sha256:";
  return digest.starts_with(kPrefix) ? digest.substr(kPrefix.size()) : digest;
}

bool is_copy(const fs::path& folder) {
  return is_sha256_digest("sha256:" + folder.filename().string());
}

int open_lock(const fs::path& cache, const std::string& name) {
  fs::create_directories(cache / kLocks);
  const fs::path path = cache / kLocks / name;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) throw Error(std::strerror(errno), path.string());
  return fd;
}

class Lock {
 public:
  Lock(const fs::path& cache, const std::string& name, int operation) : fd_(open_lock(cache, name)) {
    held_ = ::flock(fd_, operation) == 0;
  }
  ~Lock() { ::close(fd_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  bool held() const { return held_; }
  void wait() { held_ = ::flock(fd_, LOCK_EX) == 0; }

 private:
  int fd_;
  bool held_ = false;
};

void copy_file(const fs::path& from, const fs::path& to, Progress& progress) {
  std::ifstream in(from, std::ios::binary);
  if (!in) throw InputError("cannot be read", from.string());
  std::ofstream out(to, std::ios::binary);
  std::string piece(kPiece, '\0');
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())), in.gcount() > 0) {
    out.write(piece.data(), in.gcount());
    progress.advance(static_cast<std::uint64_t>(in.gcount()));
  }
  if (in.bad()) throw InputError("cannot be read", from.string());
  if (!out.flush()) throw Error("cannot be written", to.string());
  sync_to_disk(to);
}

void copy_model(const fs::path& model, const fs::path& to, std::uint64_t size) {
  Progress progress("copy to the node", size, "B");
  if (!fs::is_directory(model)) return copy_file(model, to, progress);
  fs::create_directories(to);
  for (const std::string& file : pinned_files(model)) {
    fs::create_directories((to / file).parent_path());
    copy_file(model / file, to / file, progress);
  }
}

void touch(const fs::path& copy) {
  fs::last_write_time(copy, fs::file_time_type::clock::now());
}

bool has_digest(const fs::path& model, const std::string& digest) {
  const std::vector<std::string> digests = pinning_digests(model);
  return std::ranges::find(digests, hex_of(digest)) != digests.end();
}

/// A whole copy, marked as used now.
std::optional<fs::path> find(const NodeCacheRequest& request) {
  const fs::path copy = request.cache / hex_of(request.digest);
  const Lock lock(request.cache, hex_of(request.digest), LOCK_SH);
  if (!fs::exists(copy / kModel) || !has_digest(copy / kModel, request.digest)) return std::nullopt;
  touch(copy);
  return copy / kModel;
}

struct Copy {
  fs::path folder;
  std::uint64_t size = 0;
  fs::file_time_type used;
};

std::vector<Copy> copies_of(const fs::path& cache) {
  std::vector<Copy> out;
  for (const auto& entry : fs::directory_iterator(cache)) {
    if (entry.is_directory() && is_copy(entry.path()))
      out.push_back({entry.path(), pinned_bytes(entry.path()), entry.last_write_time()});
  }
  std::ranges::sort(out, {}, &Copy::used);
  return out;
}

bool evict(const fs::path& cache, const fs::path& folder) {
  const Lock lock(cache, folder.filename(), LOCK_EX | LOCK_NB);
  if (!lock.held() || fs::file_time_type::clock::now() - fs::last_write_time(folder) < kStarting)
    return false;
  fs::remove_all(folder);
  return true;
}

std::string mib(std::uint64_t bytes) {
  return std::to_string(bytes >> 20U) + " MiB";
}

/// Empty when there is room for `size` bytes, or why there is none.
std::string make_room(const NodeCacheRequest& request, std::uint64_t size,
                      std::vector<std::string>& evicted) {
  if (size > request.limit) return mib(size) + " are more than the cache may hold, " + mib(request.limit);
  const std::vector<Copy> copies = copies_of(request.cache);
  std::uint64_t used = 0;
  for (const Copy& copy : copies) used += copy.size;
  const auto free = [&] { return free_bytes(request.cache).value_or(0); };
  const auto fits = [&] { return used + size <= request.limit && size <= free(); };
  for (const Copy& copy : copies) {
    if (fits()) break;
    if (!evict(request.cache, copy.folder)) continue;
    used -= copy.size;
    evicted.push_back("sha256:" + copy.folder.filename().string());
  }
  if (fits()) return "";
  return mib(size) + " are wanted; copies in use take " + mib(used) + " of " + mib(request.limit) + ", " +
         mib(free()) + " are free on the volume";
}

void check_source(const NodeCacheRequest& request, const fs::path& copied) {
  if (has_digest(copied, request.digest)) return;
  if (has_digest(request.model, request.digest))
    throw Error("was not copied as it is", request.model.string());
  throw InputError("the digest is not sha256:" + hex_of(request.digest), request.model.string(),
                   "the artifact was changed or damaged: fetch or quantize it again");
}

NodeCacheResult copy_unless_there(const NodeCacheRequest& request) {
  NodeCacheResult result{.size = pinned_bytes(request.model)};
  const auto there = [&] {
    const auto found = find(request);
    result.was_there = found.has_value();
    if (found) result.copy = *found;
    return result.was_there;
  };
  if (there()) return result;
  Lock writing(request.cache, "writing", LOCK_EX | LOCK_NB);
  if (!writing.held()) {
    log::info("waiting for another pod's copy", {{"cache", request.cache.string()}});
    writing.wait();
  }
  if (there()) return result;  // another pod made it meanwhile
  const fs::path target = request.cache / hex_of(request.digest);
  fs::remove_all(target);  // damaged: servers that have it open keep what they have
  result.why_not = make_room(request, result.size, result.evicted);
  if (!result.why_not.empty()) return result;
  formats::StagingFolder staging(request.cache);
  copy_model(request.model, staging.path() / kModel, result.size);
  check_source(request, staging.path() / kModel);
  staging.publish_folder(target);
  result.copy = target / kModel;
  return result;
}

}  // namespace

NodeCacheResult copy_to_node(const NodeCacheRequest& request) {
  if (!fs::exists(request.model)) throw InputError("there is no such model", request.model.string());
  try {
    return copy_unless_there(request);
  } catch (const InputError&) {
    throw;
  } catch (const std::exception& error) {
    return {.why_not = error.what()};
  }
}

NodeCacheHold::NodeCacheHold(fs::path cache, const std::string& digest) : copy_(cache / hex_of(digest)) {
  lock_ = open_lock(cache, hex_of(digest));
  ::flock(lock_, LOCK_SH);
}

NodeCacheHold::~NodeCacheHold() {
  std::error_code gone;
  fs::last_write_time(copy_, fs::file_time_type::clock::now(), gone);
  ::close(lock_);
}

}  // namespace stepdown::fetch
