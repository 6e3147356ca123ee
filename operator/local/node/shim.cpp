#include "operator/local/node/shim.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "operator/kube/time.h"
#include "operator/local/node/container_spec.h"
#include "operator/local/node/memory_limit.h"
#include "operator/local/node/mount_namespace.h"

namespace stepdown::local {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string now_text() {
  return kube::format_time(std::chrono::system_clock::now());
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

void redirect(const char* path, int flags, int onto) {
  const int fd = ::open(path, flags, 0644);
  if (fd < 0 || ::dup2(fd, onto) < 0) throw Error("cannot open", path);
  if (fd != onto) ::close(fd);
}

/// In the child: becomes the container's process, or throws.
void become(const ContainerSpec& spec, const fs::path& scratch) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a container never outlives its shim
  redirect("/dev/null", O_RDONLY, STDIN_FILENO);
  redirect(spec.log.c_str(), O_WRONLY | O_CREAT | O_APPEND, STDOUT_FILENO);
  if (::dup2(STDOUT_FILENO, STDERR_FILENO) < 0) throw Error("cannot redirect standard error");
  enter_mount_namespace(spec.mounts, scratch);
  if (!spec.working_dir.empty() && ::chdir(spec.working_dir.c_str()) != 0) {
    throw Error("cannot enter the working directory", spec.working_dir);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  ::umask(022);  // a container's own, whatever the agent keeps to itself
  std::vector<std::string> argv = spec.argv;
  std::vector<std::string> env;
  std::string path;
  for (const auto& [name, value] : spec.env) {
    env.push_back(std::string(name).append("=").append(value));
    if (name == "PATH") path = value;
  }
  ::setenv("PATH", path.c_str(), 1);  // execvpe looks for bare names here
  ::execvpe(argv[0].c_str(), pointers(argv).data(), pointers(env).data());
  throw Error("cannot run: " + std::generic_category().message(errno), argv[0]);
}

/// Forks the container; the child's failure to become it comes back as text.
pid_t start(const ContainerSpec& spec, const fs::path& scratch, std::string& failure) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Error("cannot make a pipe");
  const pid_t child = ::fork();
  if (child < 0) throw Error("cannot fork");
  if (child == 0) {
    try {
      become(spec, scratch);
    } catch (const std::exception& error) {
      const std::string text = error.what();
      (void)!::write(ends[1], text.data(), text.size());
    }
    ::_exit(128);
  }
  ::close(ends[1]);
  std::array<char, 1024> buffer{};
  for (;;) {
    const ssize_t count = ::read(ends[0], buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    failure.append(buffer.data(), static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  return child;
}

json wait_for(pid_t child, bool out_of_memory_possible, const MemoryLimit& limit) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::kill(-child, SIGKILL);  // whatever of its session is left
  const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + signal;
  const bool out_of_memory = signal == SIGKILL && out_of_memory_possible && limit.killed();
  return {{"exitCode", code},
          {"signal", signal},
          {"finishedAt", now_text()},
          {"reason", out_of_memory ? "OOMKilled"
                     : code == 0   ? "Completed"
                                   : "Error"},
          {"message", ""}};
}

/// In the background process.
void supervise(const ContainerSpec& spec, const fs::path& attempt) {
  json exited;
  try {
    const fs::path scratch = attempt / "root";
    fs::create_directories(scratch);
    const MemoryLimit limit(spec.cgroup, spec.memory_limit);  // before the fork: the child is born in it
    std::string failure;
    const pid_t child = start(spec, scratch, failure);
    write_file_atomically(attempt / "started.json", json{{"pid", child}, {"startedAt", now_text()}}.dump());
    exited = wait_for(child, spec.memory_limit > 0, limit);
    if (!failure.empty()) {
      exited["reason"] = "StartError";
      exited["message"] = failure;
    }
  } catch (const std::exception& error) {
    exited = {{"exitCode", 128},
              {"signal", 0},
              {"finishedAt", now_text()},
              {"reason", "StartError"},
              {"message", error.what()}};
  }
  write_file_atomically(attempt / "exited.json", exited.dump());
}

}  // namespace

int run_shim(const fs::path& attempt) {
  const ContainerSpec spec =
      container_spec_from(json::parse(read_file(attempt / "spec.json"), nullptr, false));
  const int lock = ::open((attempt / "lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  if (lock < 0 || ::flock(lock, LOCK_EX | LOCK_NB) != 0)
    throw Error("another shim runs this container", attempt.string());
  const pid_t background = ::fork();
  if (background < 0) throw Error("cannot fork");
  if (background > 0) ::_exit(0);  // the lock stays with the child
  ::setsid();
  ::prctl(PR_SET_NAME, "stepdown-shim");
  // The shim must outlive whoever signals the agent's group; only SIGKILL ends it, and the container with it.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) std::signal(signal, SIG_IGN);
  redirect("/dev/null", O_RDWR, STDIN_FILENO);
  redirect("/dev/null", O_RDWR, STDOUT_FILENO);
  redirect("/dev/null", O_RDWR, STDERR_FILENO);
  supervise(spec, attempt);
  return 0;
}

}  // namespace stepdown::local
