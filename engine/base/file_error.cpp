#include "engine/base/file_error.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace stepdown {
namespace {

struct Mend {
  int code;
  const char* text;
};

constexpr std::array kMends = {
    Mend{ENOSPC, kMakeRoom},
    Mend{EDQUOT, kMakeRoom},
    Mend{EACCES, "let this user read and write there, or name another place"},
    Mend{EPERM, "let this user read and write there, or name another place"},
    Mend{EROFS, "it lies on a volume that is read-only: name another place"},
    Mend{ENOENT, "check the path"},
    Mend{ENOTDIR, "a file stands where a folder belongs: name another place"},
    Mend{EEXIST, "something else stands there: name another place"},
    Mend{EISDIR, "a folder stands where a file belongs: name another place"},
    Mend{ENOTEMPTY, "something else stands there: name another place"},
    Mend{ENAMETOOLONG, "give a shorter name"},
    Mend{ELOOP, "a link leads back to itself: name another place"},
    Mend{EXDEV, "name places of one volume"},
    Mend{EFBIG, "it is over the limit of a file's size: raise it (ulimit -f), or name another volume"},
    Mend{EIO, "check the disk"},
};

[[noreturn]] void throw_told(const std::string& what, const std::string& where, std::error_code reason) {
  const auto* row = std::ranges::find(kMends, reason.value(), &Mend::code);
  const char* mend = row == kMends.end() ? "check the path, its permissions and the free space" : row->text;
  if (mend == kMakeRoom) throw DiskFull(what, where, mend);
  throw Error(what, where, mend);
}

/// "cannot open directory: Permission denied", of "filesystem error: directory iterator cannot open
/// directory: Permission denied [/a] [/b]".
std::string what_of(const std::filesystem::filesystem_error& error) {
  const std::string text = error.what();
  const std::string reason = ": " + error.code().message();
  const std::size_t begin = text.find("cannot ");
  const std::size_t end = text.find(reason);
  const bool told = begin != std::string::npos && end != std::string::npos && begin < end;
  return (told ? text.substr(begin, end - begin) : "cannot be used") + reason;
}

}  // namespace

void throw_file_error(const std::string& action, const std::filesystem::path& path, std::error_code reason) {
  throw_told("cannot " + action + ": " + reason.message(), path.string(), reason);
}

void throw_file_error(const std::string& action, const std::filesystem::path& path) {
  throw_file_error(action, path, std::error_code(errno, std::generic_category()));
}

void throw_file_error(const std::filesystem::filesystem_error& error) {
  std::string where = error.path1().string();
  if (!error.path2().empty()) where += " → " + error.path2().string();
  throw_told(what_of(error), where, error.code());
}

}  // namespace stepdown
