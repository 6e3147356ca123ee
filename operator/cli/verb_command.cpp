#include "operator/cli/verb_command.h"

#include <array>
#include <cstdio>
#include <random>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/cli/model_target.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

struct Verb {
  const char* name;
  const char* summary;
};

constexpr std::array<Verb, 6> kVerbs = {{
    {"promote", "Give the candidate all traffic now, without waiting for the steps"},
    {"approve", "Let the rollout go on past the step that waits for approval"},
    {"rollback", "Send all traffic back, and remember the revision as blocked"},
    {"retry", "Clear a blocked revision and try it again"},
    {"pause", "Hold the rollout at its present weight"},
    {"resume", "Let a paused rollout go on"},
}};

std::string new_id() {
  std::random_device random;
  std::array<char, 37> text{};
  std::snprintf(text.data(), text.size(), "%08x-%04x-4%03x-a%03x-%08x%04x", random(), random() & 0xffffU,
                random() & 0xfffU, random() & 0xfffU, random(), random() & 0xffffU);
  return text.data();
}

/// The operator's answer to our command; null until it has come.
json answer_to(const json& model, const std::string& id) {
  const json& command = kube::value_at(model, "/status/command");
  return kube::text_at(command, "/id") == id ? command : json();
}

struct Request {
  std::string verb;
  std::string model;
  std::string revision;
  int wait_seconds = 30;
};

/// The digest that --revision names: a digest itself, or the artifact's of a QuantRevision.
std::string digest_of(const Connection& connection, const std::string& revision) {
  if (revision.empty() || revision.starts_with("sha256:")) return revision;
  return kube::text_at(get_revision(connection, revision), "/spec/artifact/digest");
}

int send(const ClusterTarget& target, const Request& request) {
  const Connection connection = target.connect();
  const kube::ObjectKey key{connection.ns, request.model};
  get_model(connection, request.model);
  const std::string id = new_id();
  const std::string command = request.verb + "/" + digest_of(connection, request.revision) + "/" + id;
  const json patch = {{"metadata", {{"annotations", {{"stepdown.dev/command", command}}}}}};
  const auto patched = connection.client.patch_merge(kQuantizedModels, key, patch);
  if (!patched) throw kube::ApiException(patched.error());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(request.wait_seconds);
  while (std::chrono::steady_clock::now() < deadline) {
    const json model = get_model(connection, request.model);
    if (const json answer = answer_to(model, id); answer.is_object()) {
      if (kube::text_at(answer, "/result") != "Done") {
        throw Error(request.verb + " refused: " + kube::text_at(answer, "/message"), key.text());
      }
      std::printf("%s: %s done; %s: %s\n", key.text().c_str(), request.verb.c_str(),
                  kube::text_at(model, "/status/phase").c_str(),
                  kube::text_at(model, "/status/summary/message").c_str());
      return kDone;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  throw Error(
      "the operator has not answered in " + std::to_string(request.wait_seconds) + " s; the command stands",
      key.text(), "check that the operator runs");
}

Command verb_command(const Verb& verb) {
  return {verb.name, verb.summary, [verb_name = std::string(verb.name)](CLI::App& app) {
            const auto model = add_model_name(app);
            const auto target = add_cluster_target(app);
            const auto request = std::make_shared<Request>(Request{.verb = verb_name});
            app.add_option("--revision", request->revision,
                           "Only if this one is concerned: a QuantRevision's name, or sha256:…");
            app.add_option("--wait", request->wait_seconds, "Seconds to wait for the operator's answer")
                ->capture_default_str();
            return [=] {
              request->model = *model;
              return send(*target, *request);
            };
          }};
}

}  // namespace

std::vector<Command> verb_commands() {
  std::vector<Command> commands;
  for (const Verb& verb : kVerbs) commands.push_back(verb_command(verb));
  return commands;
}

}  // namespace stepdown::cli
