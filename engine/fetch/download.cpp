#include "engine/fetch/download.h"

#include <cerrno>
#include <fstream>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::fetch {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kTold = 1 << 20;  // bytes between two words to the meter

/// The file that grows, and what its bytes add up to.
class Part {
 public:
  Part(fs::path path, const RemoteFile& file)
      : path_(std::move(path)), file_(file), sum_(file.checksum.kind, file.size) {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) fail("open");
    const off_t end = ::lseek(fd_, 0, SEEK_END);
    if (end < 0) fail("read");
    size_ = static_cast<std::uint64_t>(end);
    if (size_ > file_.size) clear();
    add_up();
  }
  ~Part() {
    if (fd_ >= 0) ::close(fd_);
  }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  std::uint64_t size() const { return size_; }
  bool whole() const { return size_ == file_.size; }

  void clear() {
    if (::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) < 0) fail("write");
    size_ = 0;
    sum_ = RunningChecksum(file_.checksum.kind, file_.size);
  }

  void append(std::string_view bytes) {
    sum_.update(bytes);
    size_ += bytes.size();
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("write");
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  /// Call once the file is whole.
  bool adds_up() { return sum_.hex() == file_.checksum.hex; }
  void sync() {
    if (::fsync(fd_) != 0) fail("write");
  }

 private:
  void add_up() {
    std::vector<char> piece(1 << 20);
    if (::lseek(fd_, 0, SEEK_SET) < 0) fail("read");
    for (std::uint64_t left = size_; left > 0;) {
      const ssize_t got = ::read(fd_, piece.data(), std::min<std::uint64_t>(left, piece.size()));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) fail("read");
      sum_.update({piece.data(), static_cast<std::size_t>(got)});
      left -= static_cast<std::uint64_t>(got);
    }
  }

  [[noreturn]] void fail(const char* action) const {
    throw Error(std::string("cannot ") + action + ": " + std::generic_category().message(errno),
                path_.string(), "check permissions and free space");
  }

  fs::path path_;
  const RemoteFile& file_;
  RunningChecksum sum_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

/// Whether the answer's bytes may follow those of `part`, which is cleared when they begin from the start.
bool fits(const HttpAnswer& answer, const RemoteFile& file, Part& part) {
  if (answer.status == 200) {
    if (const auto length = answer.length(); length && *length != file.size) return false;
    if (part.size() > 0) part.clear();  // a server without ranges
    return true;
  }
  const auto range = parse_content_range(answer.header("content-range"));
  return range && range->first == part.size() && range->total == file.size;
}

}  // namespace

void Meter::add(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  progress_.advance(bytes);
}

void Meter::note(const std::string& text) {
  const std::lock_guard lock(mutex_);
  progress_.note(text);
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  constexpr std::size_t kDigits = 18;
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const auto dash = text.find('-'), slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return std::nullopt;
  const auto number = [](std::string_view digits) -> std::optional<std::uint64_t> {
    if (digits.empty() || digits.size() > kDigits ||
        digits.find_first_not_of("0123456789") != std::string_view::npos) {
      return std::nullopt;
    }
    return std::stoull(std::string(digits));
  };
  const auto first = number(text.substr(0, dash)), total = number(text.substr(slash + 1));
  return first && total ? std::optional(ContentRange{*first, *total}) : std::nullopt;
}

Transfer download(const Http& http, const RetryPolicy& retries, Remote& remote, const RemoteFile& file,
                  const fs::path& path, Meter& meter, const std::string& where) {
  Part part(path, file);
  Transfer out{.kept = part.size()};
  meter.add(part.size());
  Backoff backoff(retries);
  bool renewed = false, began_again = false;
  std::uint64_t counted = part.size();  // of this file, on the bar
  for (;;) {
    if (part.whole()) {
      if (part.adds_up()) {
        part.sync();
        return out;
      }
      // Once: a machine that lost power leaves parts that were never written.
      if (began_again) {
        throw InputError(
            file.path + " has not the " + std::string(name_of(file.checksum.kind)) + " that was promised",
            where, "what the source serves is not what it lists: push or upload it again");
      }
      began_again = true;
      out.kept = 0;
      part.clear();
    }
    HttpRequest request = remote.request(file);
    if (part.size() > 0) request.headers["Range"] = "bytes=" + std::to_string(part.size()) + "-";
    Setback setback;
    bool unfit = false, too_long = false;
    std::uint64_t untold = 0;
    const std::uint64_t before = part.size();
    const auto tell = [&] {
      if (part.size() > counted) {
        meter.add(part.size() - counted);
        counted = part.size();
      }
      untold = 0;
    };
    try {
      const HttpAnswer answer = http.stream(
          request,
          [&](const HttpAnswer& head) {
            unfit = !fits(head, file, part);
            return !unfit;
          },
          [&](std::string_view bytes) {
            too_long = bytes.size() > file.size - part.size();
            if (too_long) return false;
            part.append(bytes);
            out.fetched += bytes.size();
            untold += bytes.size();
            if (untold >= kTold) tell();
            return true;
          });
      if (unfit || too_long || answer.status == 416) {
        part.clear();
        setback.reason = file.path + " has another size than was listed";
      } else if (answer.status == 401 && !renewed && remote.renew(answer)) {
        renewed = true;
        continue;
      } else if (passes(answer.status)) {
        setback = setback_of(answer);
      } else if (answer.status != 200 && answer.status != 206) {
        remote.refuse(answer, file.path);
      } else if (!part.whole()) {
        setback.reason = "the answer ended early";
      } else {
        renewed = false;
      }
    } catch (const NetworkError& error) {
      setback.reason = error.what();
    }
    tell();
    if (part.size() > before) {
      backoff.progressed();
      renewed = false;
    }
    if (!setback.reason.empty() && !part.whole()) wait_or_throw(backoff, setback, where + " " + file.path);
  }
}

}  // namespace stepdown::fetch
