#include "engine/quant/calibration/calibration_set.h"

#include "tests/unit/engine/quant/random_model.h"
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/system_facts.h"

namespace stepdown::quant {
namespace {

/// With a template that shows all that a message holds.
struct TalkingModel : RandomModel {
  TalkingModel() {
    tokenizer_config["chat_template"] =
        "{% if tools %}{{ tools | tojson }}{% endif %}"
        "{% for message in messages %}{{ message.name }}{{ message.reasoning_content }}{{ message.content }}"
        "{% if message.tool_calls %}{{ message.tool_calls | tojson }}{% endif %}{% endfor %}";
    write();
  }
};

struct Prompts {
  TalkingModel model;
  formats::TempFolder folder;
  std::unique_ptr<formats::ModelFile> file = formats::open_model(model.folder.path());

  CalibrationSet read(const std::string& lines, CalibrationRequest request = {}) const {
    request.path = folder / "prompts.jsonl";
    write_file_atomically(request.path, lines);
    return {*file, request};
  }
};

std::string line(const std::string& text) {
  return nlohmann::json{{"text", text}}.dump() + "\n";
}

TEST(CalibrationSet, PersonalDataReachesNeitherTokensNorTheDigest) {
  const Prompts prompts;
  const std::string ann = line("write to ann@example.com today"),
                    bob = line("write to bob@example.org today");
  const CalibrationRequest redacting{.redact = {"email"}};
  const CalibrationSet first = prompts.read(ann, redacting), second = prompts.read(bob, redacting);
  EXPECT_EQ(first.digest(), second.digest());
  EXPECT_EQ(first.stream(*prompts.file, 0).values, second.stream(*prompts.file, 0).values);
  EXPECT_EQ(first.report()["redacted"], (nlohmann::json{{"email", 1}}));
  EXPECT_NE(prompts.read(ann).digest(), prompts.read(bob).digest());
}

TEST(CalibrationSet, EmbeddingsThatAreNotFiniteAreRefusedBeforeTheWork) {
  TalkingModel model;
  std::string& bytes = model.tensors["model.embed_tokens.weight"].bytes;
  bytes.replace(2 * 64 * 2, 2, "\x00\x7e", 2);  // NaN in row 2
  model.write();
  const auto file = formats::open_model(model.folder.path());
  EXPECT_NO_THROW(embed(*file, std::vector<std::int32_t>{0, 1, 3}));
  try {
    embed(*file, std::vector<std::int32_t>{0, 2});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("tensor 'token_embd.weight': row 2 holds"))
        << error.what();
  }
}

TEST(CalibrationSet, ANightsLogsAreNeverInMemoryAtOnce) {
  const Prompts prompts;
  constexpr int kLines = 64 * 1024;
  std::string lines;
  for (int i = 0; i < kLines; ++i) lines += line(std::to_string(i) + std::string(1000, 'a'));
  CalibrationRequest request{.path = prompts.folder / "prompts.jsonl", .samples = 3};
  write_file_atomically(request.path, lines);
  std::string().swap(lines);
  reset_peak_memory();
  [[maybe_unused]] const std::uint64_t before = peak_memory_bytes();
  testing::internal::CaptureStderr();
  EXPECT_EQ(CalibrationSet(*prompts.file, request).samples(), 3U);
  const std::string told = testing::internal::GetCapturedStderr();
#ifndef __SANITIZE_ADDRESS__  // which keeps what is freed
  EXPECT_LT(peak_memory_bytes() - before, 8 << 20) << "of 67 MB";
#endif
  const std::uint64_t bytes = 2 * std::filesystem::file_size(request.path);
  const nlohmann::json first = nlohmann::json::parse(told.substr(0, told.find('\n')));
  EXPECT_EQ(first["progress"], "read prompts");
  EXPECT_EQ(first["total"], bytes) << "once for the lengths and once for what is drawn";
  EXPECT_GT(first["eta_s"], 0);
  const std::size_t last = told.rfind('\n', told.size() - 2);
  EXPECT_EQ(nlohmann::json::parse(told.substr(last + 1))["done"], bytes);
}

TEST(CalibrationSet, PersonalDataInCallsIsReplacedToo) {
  const Prompts prompts;
  const auto log = [](const char* address) {
    const nlohmann::json call = {
        {"id", "1"},
        {"type", "function"},
        {"function", {{"name", "mail"}, {"arguments", nlohmann::json{{"to", {address}}}.dump()}}}};
    const nlohmann::json turn = {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", {call}}};
    return nlohmann::json{{"messages", {{{"role", "user"}, {"content", "a pump is dry"}}, turn}}}.dump() +
           "\n";
  };
  const CalibrationRequest redacting{.redact = {"email"}};
  const CalibrationSet first = prompts.read(log("ann@example.com"), redacting),
                       second = prompts.read(log("bob@example.org"), redacting);
  EXPECT_EQ(first.digest(), second.digest());
  EXPECT_EQ(first.stream(*prompts.file, 0).values, second.stream(*prompts.file, 0).values);
  EXPECT_EQ(first.report()["redacted"], (nlohmann::json{{"email", 1}}));
  EXPECT_NE(prompts.read(log("ann@example.com")).digest(), prompts.read(log("bob@example.org")).digest());
}

/// A turn that calls a tool, with an address in one place.
std::string turn_with(const char* address, const std::string& place) {
  nlohmann::json arguments = {{"to", "all"}};
  if (place == "key") arguments = {{"mails", {{address, 3}}}};
  const nlohmann::json call = {
      {"id", "1"}, {"type", "function"}, {"function", {{"name", "mail"}, {"arguments", arguments.dump()}}}};
  nlohmann::json turn = {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", {call}}};
  if (place == "name" || place == "reasoning_content") turn[place] = address;
  if (place == "expected") {
    turn.erase("tool_calls");
    turn["content"] = "who?";
  }
  nlohmann::json log = {{"messages", {turn}}};
  if (place == "tools") {
    const nlohmann::json mail = {{"name", "mail"}, {"description", "from " + std::string(address)}};
    log["tools"] = {{{"type", "function"}, {"function", mail}}};
  }
  if (place == "expected") log["expected"] = {{"note", "call\n" + std::string(address)}};
  return log.dump() + "\n";
}

TEST(CalibrationSet, PersonalDataIsReplacedWhereverAMessageHasIt) {
  const Prompts prompts;
  const CalibrationRequest redacting{.redact = {"email"}};
  for (const char* place : {"key", "name", "reasoning_content", "expected", "tools"}) {
    const std::string ann = turn_with("ann@example.com", place), bob = turn_with("bob@example.org", place);
    const CalibrationSet first = prompts.read(ann, redacting), second = prompts.read(bob, redacting);
    EXPECT_EQ(first.digest(), second.digest()) << place;
    EXPECT_EQ(first.stream(*prompts.file, 0).values, second.stream(*prompts.file, 0).values) << place;
    EXPECT_EQ(first.report()["redacted"], (nlohmann::json{{"email", 1}})) << place;
    EXPECT_NE(prompts.read(ann).digest(), prompts.read(bob).digest()) << place;
  }
}

TEST(CalibrationSet, TheModelSeesTheToolsThatAChatOffered) {
  const Prompts prompts;
  const auto log = [](const char* more) {
    return R"({"messages": [{"role": "user", "content": "is a pump dry?"}])" + std::string(more) + "}\n";
  };
  constexpr const char* kTools = R"(, "tools": [{"type": "function", "function": {"name": "look_at_pump"}}])";
  const CalibrationSet none = prompts.read(log("")), offered = prompts.read(log(kTools)),
                       forbidden =
                           prompts.read(log((std::string(kTools) + R"(, "tool_choice": "none")").c_str()));
  EXPECT_GT(offered.tokens(), none.tokens());
  EXPECT_NE(offered.digest(), none.digest());
  EXPECT_EQ(forbidden.tokens(), none.tokens()) << "as it was served";
  EXPECT_EQ(forbidden.digest(), none.digest());
  EXPECT_EQ(prompts.read(log(R"(, "tools": [])")).digest(), none.digest());
}

TEST(CalibrationSet, WarnsOfPromptsThatAreUnlikeTheEvaluations) {
  const Prompts prompts;
  std::string prose, logs;
  for (int i = 0; i < 40; ++i) {
    const std::string n = std::to_string(i);
    prose += line("The river rises in the hills and runs through meadows, villages and old mills, year " + n);
    logs += line(R"({"level":"warn","pump":)" + n + R"(,"state":"dry","dock":4,"retries":3})");
  }
  CalibrationRequest request;
  request.evaluation = prompts.folder / "evaluation.jsonl";
  write_file_atomically(request.evaluation, logs);
  EXPECT_EQ(prompts.read(prose, request).report()["drift"]["warning"], true);
  EXPECT_EQ(prompts.read(logs, request).report()["drift"]["warning"], false);
}

TEST(CalibrationSet, TheSeedChoosesThePrompts) {
  const Prompts prompts;
  std::string lines;
  for (int i = 0; i < 60; ++i) lines += line("a pump " + std::to_string(i));
  const CalibrationRequest one{.samples = 6, .seed = 1}, two{.samples = 6, .seed = 2};
  EXPECT_EQ(prompts.read(lines, one).digest(), prompts.read(lines, one).digest());
  EXPECT_NE(prompts.read(lines, one).digest(), prompts.read(lines, two).digest());
}

}  // namespace
}  // namespace stepdown::quant
