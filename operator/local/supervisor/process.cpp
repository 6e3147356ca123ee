#include "operator/local/supervisor/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/log.h"

namespace stepdown::local {
namespace {

constexpr std::chrono::milliseconds kFirstDelay{200};
constexpr std::chrono::milliseconds kLongestDelay{10'000};
constexpr std::chrono::seconds kLongRun{30};

/// In the child. Only async-signal-safe calls: the supervisor has threads.
[[noreturn]] void become(char* const* argv, const char* log, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  ::setpgid(0, 0);                        // Ctrl-C is the supervisor's to pass on
  const int in = ::open("/dev/null", O_RDONLY);
  const int out = ::open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (in < 0 || out < 0) ::_exit(1);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  sigset_t none;
  sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  ::execv(argv[0], argv);
  ::_exit(127);
}

}  // namespace

SupervisedProcess::SupervisedProcess(std::string name, std::vector<std::string> argv,
                                     std::filesystem::path log)
    : name_(std::move(name)), argv_(std::move(argv)), log_(std::move(log)) {}

SupervisedProcess::~SupervisedProcess() {
  stop(std::chrono::seconds(5));
}

void SupervisedProcess::start() {
  std::vector<char*> argv;
  for (std::string& argument : argv_) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw Error("cannot fork");
  if (child == 0) become(argv.data(), log_.c_str(), parent);
  pid_ = child;
  started_ = Clock::now();
}

bool SupervisedProcess::reap(int options) {
  int status = 0;
  const pid_t ended = ::waitpid(pid_, &status, options);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return false;
  pid_ = 0;
  return true;
}

void SupervisedProcess::tend() {
  const auto now = Clock::now();
  if (running() && reap(WNOHANG)) {
    ++deaths_;
    delay_ = now - started_ >= kLongRun ? kFirstDelay : std::clamp(delay_ * 2, kFirstDelay, kLongestDelay);
    due_ = now + delay_;
    log::warn("process ended; starting it again",
              {{"process", name_}, {"in_ms", delay_.count()}, {"log", log_.string()}});
  }
  if (!running() && now >= due_) start();
}

void SupervisedProcess::stop(std::chrono::seconds grace) {
  if (!running()) return;
  ::kill(pid_, SIGTERM);
  const auto deadline = Clock::now() + grace;
  while (Clock::now() < deadline) {
    if (reap(WNOHANG)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ::kill(pid_, SIGKILL);
  while (!reap(0)) {
  }
}

}  // namespace stepdown::local
