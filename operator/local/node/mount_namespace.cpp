#include "operator/local/node/mount_namespace.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <system_error>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/base/error.h"

namespace stepdown::local {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& what, const fs::path& where) {
  throw Error(what + ": " + std::generic_category().message(errno), where.string());
}

void write_proc(const char* path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  out.flush();
  if (!out) fail("cannot set up a user namespace", path);
}

/// As root a mount namespace is enough; otherwise a user namespace in which we are root comes first.
void unshare_mounts() {
  if (::unshare(CLONE_NEWNS) == 0) return;
  const auto uid = ::geteuid();
  const auto gid = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    throw Error("the kernel forbids mount namespaces: " + std::generic_category().message(errno), "unshare",
                "run as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
                "kernel.apparmor_restrict_unprivileged_userns=0)");
  }
  write_proc("/proc/self/setgroups", "deny");
  write_proc("/proc/self/uid_map", std::to_string(uid) + " " + std::to_string(uid) + " 1");
  write_proc("/proc/self/gid_map", std::to_string(gid) + " " + std::to_string(gid) + " 1");
}

void bind(const fs::path& source, const fs::path& target, bool read_only) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0) {
    fail("cannot mount " + source.string(), target);
  }
  if (!read_only) return;
  // A bind inherits the flags of its source's mount, and a remount must repeat those that are locked.
  struct statvfs info {};
  if (::statvfs(target.c_str(), &info) != 0) fail("cannot look at a mount", target);
  unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY;
  constexpr std::array<std::pair<unsigned long, unsigned long>, 5> kKept = {{{ST_NOSUID, MS_NOSUID},
                                                                             {ST_NODEV, MS_NODEV},
                                                                             {ST_NOEXEC, MS_NOEXEC},
                                                                             {ST_NOATIME, MS_NOATIME},
                                                                             {ST_RELATIME, MS_RELATIME}}};
  for (const auto& [seen, kept] : kKept) {
    if ((info.f_flag & seen) != 0) flags |= kept;
  }
  if (::mount(nullptr, target.c_str(), nullptr, flags, nullptr) != 0)
    fail("cannot make a mount read-only", target);
}

void make_place(const fs::path& path, bool folder) {
  if (folder) {
    fs::create_directories(path);
  } else {
    fs::create_directories(path.parent_path());
    const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0) fail("cannot make a mount point", path);
    ::close(fd);
  }
}

/// `path` is below `folder`.
bool is_below(const fs::path& path, const fs::path& folder) {
  const auto [at, unused] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return at == folder.end() && path != folder;
}

/// Shows the host's `folder` at `place`, with room for the mount points `missing`, which the host lacks.
void show(const fs::path& folder, const fs::path& place, const std::vector<fs::path>& missing) {
  fs::create_directories(place);
  const bool whole = std::none_of(missing.begin(), missing.end(),
                                  [&](const fs::path& target) { return is_below(target, folder); });
  if (whole) return bind(folder, place, false);
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path copy = place / entry.path().filename();
    if (entry.is_symlink()) {
      fs::create_symlink(fs::read_symlink(entry.path()), copy);
    } else if (entry.is_directory()) {
      show(entry.path(), copy, missing);
    } else {
      make_place(copy, false);
      bind(entry.path(), copy, false);
    }
  }
}

}  // namespace

void enter_mount_namespace(const std::vector<BindMount>& mounts, const fs::path& scratch) {
  std::vector<BindMount> placed = mounts;
  std::vector<fs::path> missing;
  for (BindMount& mount : placed) {
    // /var/run/x is /run/x on most hosts: targets are followed as the container will follow them.
    mount.target = fs::weakly_canonical(mount.target);
    const bool folder = fs::is_directory(mount.source);
    if (!fs::exists(mount.source)) throw Error("a volume's source does not exist", mount.source.string());
    if (folder ? !fs::is_directory(mount.target) : !fs::is_regular_file(mount.target))
      missing.push_back(mount.target);
  }
  std::sort(placed.begin(), placed.end(),
            [](const BindMount& a, const BindMount& b) { return a.target < b.target; });

  unshare_mounts();
  // Nothing mounted here may show on the host; what the host mounts later may show here.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) fail("cannot separate mounts", "/");
  if (::mount("tmpfs", scratch.c_str(), "tmpfs", 0, "mode=755") != 0) fail("cannot mount tmpfs", scratch);
  for (const auto& entry : fs::directory_iterator("/")) {
    const fs::path copy = scratch / entry.path().filename();
    if (entry.is_symlink()) {
      fs::create_symlink(fs::read_symlink(entry.path()), copy);
    } else if (entry.is_directory()) {
      show(entry.path(), copy, missing);
    }
  }
  for (const BindMount& mount : placed) {
    const fs::path place = scratch / mount.target.relative_path();
    const bool folder = fs::is_directory(mount.source);
    if (folder ? !fs::is_directory(place) : !fs::is_regular_file(place)) make_place(place, folder);
    bind(mount.source, place, mount.read_only);
  }
  const fs::path old_root = scratch / ".old";
  fs::create_directory(old_root);
  if (::syscall(SYS_pivot_root, scratch.c_str(), old_root.c_str()) != 0)
    fail("cannot change the root", scratch);
  if (::chdir("/") != 0 || ::umount2("/.old", MNT_DETACH) != 0) fail("cannot leave the old root", "/.old");
  ::rmdir("/.old");
}

}  // namespace stepdown::local
