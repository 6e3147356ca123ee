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

int send(const ModelTarget& target, const std::string& verb, const std::string& digest, int wait_seconds) {
  const ModelTarget::Connection connection = target.connect();
  get_model(connection);
  const std::string id = new_id();
  const json patch = {
      {"metadata", {{"annotations", {{"stepdown.dev/command", verb + "/" + digest + "/" + id}}}}}};
  const auto patched = connection.client.patch_merge(kQuantizedModels, connection.key, patch);
  if (!patched) throw kube::ApiException(patched.error());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(wait_seconds);
  while (std::chrono::steady_clock::now() < deadline) {
    const json answer = answer_to(get_model(connection), id);
    if (answer.is_object()) {
      const std::string result = kube::text_at(answer, "/result");
      const std::string message = kube::text_at(answer, "/message");
      if (result != "Done") throw Error(verb + " refused: " + message, connection.key.text());
      std::printf("%s: %s%s\n", connection.key.text().c_str(), verb.c_str(),
                  message.empty() ? "" : (": " + message).c_str());
      return kDone;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  throw Error("the operator has not answered in " + std::to_string(wait_seconds) + " s; the command stands",
              connection.key.text(), "check that the operator runs");
}

Command verb_command(const Verb& verb) {
  return {
      verb.name, verb.summary, [name = std::string(verb.name)](CLI::App& app) {
        const auto target = add_model_target(app);
        auto digest = std::make_shared<std::string>();
        auto wait = std::make_shared<int>(30);
        app.add_option("--digest", *digest, "Only if this revision is concerned (sha256:…)")
            ->type_name("DIGEST");
        app.add_option("--wait", *wait, "Seconds to wait for the operator's answer")->capture_default_str();
        return [=] { return send(*target, name, *digest, *wait); };
      }};
}

}  // namespace

std::vector<Command> verb_commands() {
  std::vector<Command> commands;
  for (const Verb& verb : kVerbs) commands.push_back(verb_command(verb));
  return commands;
}

}  // namespace stepdown::cli
