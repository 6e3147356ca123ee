#include "operator/local/node/container.h"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "operator/kube/object.h"

namespace stepdown::local {
namespace {

namespace fs = std::filesystem;
using kube::integer_at;
using kube::text_at;
using nlohmann::json;

constexpr std::size_t kLongestMessage = 4096;

json read_json(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return nullptr;
  try {
    return json::parse(read_file(path), nullptr, false);
  } catch (const Error&) {
    return nullptr;  // removed between the two looks
  }
}

/// The shim holds it as long as it lives.
bool is_locked(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool locked = ::flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return locked;
}

/// The last lines of the attempt's log, at most as many bytes as a kubelet takes, where the pod asks for
/// that.
std::string end_of_log(const fs::path& attempt) {
  constexpr std::size_t kLongest = 2048;
  const json spec = read_json(attempt / "spec.json");
  const auto wanted = spec.is_object() ? spec.find("logAsMessage") : spec.end();
  std::error_code error;
  const fs::path log = text_at(spec, "/log");
  if (!spec.is_object() || wanted == spec.end() || *wanted != true || !fs::is_regular_file(log, error))
    return {};
  std::string text = read_file(log);
  while (text.ends_with('\n')) text.pop_back();
  if (text.size() <= kLongest) return text;
  text.erase(0, text.size() - kLongest);
  return text.substr(text.find('\n') + 1);
}

std::string termination_message(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return {};
  std::string text = read_file(path);
  if (text.size() > kLongestMessage) text.resize(kLongestMessage);
  return text;
}

}  // namespace

int Container::latest_attempt() const {
  int latest = -1;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename();
    int number = -1;
    const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (failure == std::errc{} && end == name.data() + name.size() &&
        fs::exists(entry.path() / "spec.json")) {
      latest = std::max(latest, number);
    }
  }
  return latest;
}

ContainerState Container::state() const {
  return state_of(latest_attempt());
}

ContainerState Container::previous_state() const {
  return state_of(latest_attempt() - 1);
}

ContainerState Container::state_of(int attempt) const {
  ContainerState state;
  if (attempt < 0) return state;
  const fs::path folder = folder_ / std::to_string(attempt);
  state.attempt = attempt;
  // Looked at before the files: a shim that ends in between has written exited.json by then.
  const bool alive = is_locked(folder / "lock");
  state.started_at = text_at(read_json(folder / "started.json"), "/startedAt");
  const json exited = read_json(folder / "exited.json");
  if (exited.is_object()) {
    state.kind = ContainerState::Kind::kExited;
    state.exit_code = static_cast<int>(integer_at(exited, "/exitCode", 137));
    state.signal = static_cast<int>(integer_at(exited, "/signal", 0));
    state.finished_at = text_at(exited, "/finishedAt");
    state.reason = text_at(exited, "/reason");
    state.message = text_at(exited, "/message");
    if (state.message.empty()) state.message = termination_message(folder / "termination-log");
    if (state.message.empty() && state.exit_code != 0) state.message = end_of_log(folder);
  } else if (alive) {
    state.kind = ContainerState::Kind::kRunning;
  } else {
    state.kind = ContainerState::Kind::kExited;
    state.exit_code = 137;
    state.signal = SIGKILL;
    state.reason = "ContainerStatusUnknown";
    state.message = "the container's shim was killed";
  }
  return state;
}

void Container::start(ContainerSpec spec, const fs::path& termination_target,
                      const fs::path& shim_program) const {
  const fs::path attempt = folder_ / std::to_string(latest_attempt() + 1);
  fs::create_directories(attempt);
  if (!termination_target.empty()) {
    write_file_atomically(attempt / "termination-log", "");
    spec.mounts.push_back({attempt / "termination-log", termination_target, false});
  }
  write_file_atomically(attempt / "spec.json", to_json(spec).dump());
  std::string program = shim_program.string();
  std::string folder = attempt.string();
  std::string local = "local";
  std::string container = "container";
  char* argv[] = {program.data(), local.data(), container.data(), folder.data(), nullptr};
  pid_t child = 0;
  const int failure = ::posix_spawn(&child, program.c_str(), nullptr, nullptr, argv, environ);
  if (failure != 0) throw Error("cannot start a shim: " + std::generic_category().message(failure), program);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (status != 0) throw Error("the shim could not start", attempt.string(), "see the node agent's log");
}

void Container::signal(int number) const {
  const int latest = latest_attempt();
  if (latest < 0) return;
  const fs::path folder = folder_ / std::to_string(latest);
  const auto pid = static_cast<pid_t>(integer_at(read_json(folder / "started.json"), "/pid", 0));
  // While the lock is held the shim has not reaped its child, so the number still names it.
  if (pid > 1 && is_locked(folder / "lock") && !fs::exists(folder / "exited.json")) ::kill(-pid, number);
}

}  // namespace stepdown::local
