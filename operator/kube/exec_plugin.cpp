#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "operator/kube/base64.h"
#include "operator/kube/credentials.h"
#include "operator/kube/object.h"
#include "operator/kube/time.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kLongestOutput = 1u << 20u;

/// KUBERNETES_EXEC_INFO as kubectl gives it.
std::string exec_info(const ExecPlugin& plugin, const Config& config) {
  json info = {
      {"apiVersion", plugin.api_version}, {"kind", "ExecCredential"}, {"spec", {{"interactive", false}}}};
  if (plugin.provide_cluster_info) {
    info["spec"]["cluster"] = {{"server", config.server}};
    if (!config.certificate_authority.empty()) {
      info["spec"]["cluster"]["certificate-authority-data"] = base64_encode(config.certificate_authority);
    }
  }
  return info.dump();
}

std::vector<std::string> environment_for(const ExecPlugin& plugin, const Config& config) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!plugin.env.contains(text.substr(0, text.find('=')))) variables.push_back(text);
  }
  for (const auto& [name, value] : plugin.env) variables.push_back(name + "=" + value);
  variables.push_back("KUBERNETES_EXEC_INFO=" + exec_info(plugin, config));
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::chrono::milliseconds until(Clock::time_point deadline) {
  return std::max(std::chrono::milliseconds(0),
                  std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()));
}

/// Standard output of the command; throws when it cannot run or fails.
std::string output_of(const ExecPlugin& plugin, const Config& config) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw Error("cannot make a pipe", plugin.command);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<std::string> arguments = {plugin.command};
  arguments.insert(arguments.end(), plugin.args.begin(), plugin.args.end());
  std::vector<std::string> variables = environment_for(plugin, config);
  pid_t child = 0;
  const int failure = ::posix_spawnp(&child, plugin.command.c_str(), &actions, nullptr,
                                     pointers(arguments).data(), pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (failure != 0) {
    ::close(ends[0]);
    throw Error("cannot run the exec plugin: " + std::generic_category().message(failure), plugin.command,
                plugin.install_hint.empty() ? "install it" : plugin.install_hint);
  }
  const auto deadline = Clock::now() + plugin.time_limit;
  std::string output;
  std::array<char, 4096> buffer{};
  while (output.size() <= kLongestOutput) {
    pollfd end{ends[0], POLLIN, 0};
    const int ready = ::poll(&end, 1, static_cast<int>(until(deadline).count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) break;
    const ssize_t count = ::read(ends[0], buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    output.append(buffer.data(), static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  int status = 0;
  bool killed = false;
  for (;;) {
    const pid_t ended = ::waitpid(child, &status, killed ? 0 : WNOHANG);
    if (ended == child) break;
    if (ended < 0 && errno != EINTR) throw Error("cannot wait for the exec plugin", plugin.command);
    killed = until(deadline).count() == 0 && ::kill(child, SIGKILL) == 0;
    if (!killed) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (killed) {
    throw Error(
        "the exec plugin gave no credential within " + std::to_string(plugin.time_limit.count()) + " s",
        plugin.command, "run it by hand to see what it waits for");
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw Error("the exec plugin failed with status " +
                    std::to_string(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)),
                plugin.command, "run it by hand to see why");
  }
  return output;
}

}  // namespace

ExecCredential parse_exec_credential(std::string_view output, const ExecPlugin& plugin) {
  const json answer = json::parse(output, nullptr, false);
  if (text_at(answer, "/kind") != "ExecCredential" || text_at(answer, "/apiVersion") != plugin.api_version) {
    throw Error("the exec plugin printed no ExecCredential of " + plugin.api_version, plugin.command);
  }
  ExecCredential credential;
  credential.token = text_at(answer, "/status/token");
  credential.client_certificate = text_at(answer, "/status/clientCertificateData");
  credential.client_key = text_at(answer, "/status/clientKeyData");
  if (credential.token.empty() && credential.client_certificate.empty()) {
    throw Error("the exec plugin gave neither a token nor a client certificate", plugin.command);
  }
  if (credential.client_certificate.empty() != credential.client_key.empty()) {
    throw Error("the exec plugin gave a client certificate without its key, or the key alone",
                plugin.command);
  }
  if (const std::string expires = text_at(answer, "/status/expirationTimestamp"); !expires.empty()) {
    credential.expires = parse_time(expires);
    if (!credential.expires) throw Error("the exec plugin's expirationTimestamp is no time", plugin.command);
  }
  return credential;
}

ExecCredential run_exec_plugin(const ExecPlugin& plugin, const Config& config) {
  return parse_exec_credential(output_of(plugin, config), plugin);
}

}  // namespace stepdown::kube
