#include "engine/eval/evaluation.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <thread>

#include <gtest/gtest.h>
#include <httplib.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::eval {
namespace {

using nlohmann::json;

/// Answers each prompt with the text after "say ", in whatever order threads ask.
class Echo : public Answerer {
 public:
  Answer answer(const Sample& sample, const AnswerOptions& options) override {
    const std::string text = sample.messages[0]["content"].get<std::string>().substr(4);
    if (text == "fail") throw Error("engine gone");
    if (text == "too long") return {.finish_reason = "error", .error = "longer than the context"};
    return {.text = options.schema != nullptr ? R"({"n": 1})" : text,
            .finish_reason = "stop",
            .latency_ms = 2,
            .tokens = 3};
  }
};

std::vector<Sample> samples_saying(const std::vector<std::string>& texts) {
  std::vector<Sample> samples;
  for (const std::string& text : texts) {
    Sample sample;
    sample.id = "s" + std::to_string(samples.size());
    sample.messages = json::array({{{"role", "user"}, {"content", "say " + text}}});
    samples.push_back(sample);
  }
  return samples;
}

std::vector<std::unique_ptr<Suite>> integer_suite() {
  return make_suites(json::parse(R"([{"type": "jsonSchema", "schema": {"type": "object", "required": ["n"],
      "properties": {"n": {"type": "integer"}}, "additionalProperties": false}}])"));
}

Report run(const std::vector<std::string>& texts) {
  Report report;
  Echo echo;
  run_suites(report, echo, samples_saying(texts), integer_suite(), {.concurrency = 3});
  return report;
}

TEST(Evaluation, MeansStandBesideTheirSamplesInOrder) {
  const Report report = run({R"({"n": 1})", "no json", R"({"n": 2})", R"({"n": "2"})"});
  EXPECT_DOUBLE_EQ(report.metrics.at("jsonPass").value, 0.5);
  EXPECT_DOUBLE_EQ(report.metrics.at("jsonPassConstrained").value, 1.0);
  EXPECT_EQ(report.metrics.at("jsonPass").n, 4);
  EXPECT_EQ(report.metrics.at("latencyP50Ms").value, 2);
  ASSERT_EQ(report.samples.size(), 4u);
  EXPECT_EQ(report.samples[3].id, "s3");
  EXPECT_EQ(report.samples[3].scores.at("jsonPass"), 0);
}

TEST(Evaluation, PromptsThatAModelCannotAnswerAreToldOf) {
  EXPECT_TRUE(run({"a", "b"}).warnings.empty());
  const Report report = run({"a", "too long", "b", "too long"});
  ASSERT_EQ(report.warnings.size(), 1U);
  EXPECT_EQ(report.warnings[0],
            "2 of 4 prompts had no answer and count as wrong: s1: longer than the context");
}

TEST(Evaluation, AnExceptionOfAnAnswererEndsTheRun) {
  EXPECT_THROW(run({"a", "fail", "b"}), Error);
}

TEST(HttpAnswerer, AServerThatIsNotThereEndsTheRunAtTheFirstPrompt) {
  const auto answerer = make_http_answerer("http://127.0.0.1:1/v1", "m", "");
  EXPECT_THROW(answerer->answer(samples_saying({"hi"})[0], {}), Error);
}

/// A server's one answer to a sample, and what it was sent.
std::pair<Answer, json> ask_server(const Sample& sample, const std::string& choice) {
  json sent;
  httplib::Server server;
  server.Post("/v1/chat/completions", [&](const httplib::Request& request, httplib::Response& response) {
    sent = json::parse(request.body);
    response.set_content(R"({"choices": [)" + choice + "]}", "application/json");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::jthread serving([&] { server.listen_after_bind(); });
  const auto answerer = make_http_answerer("http://127.0.0.1:" + std::to_string(port) + "/v1", "m", "");
  const Answer answer = answerer->answer(sample, {});
  server.stop();
  return {answer, sent};
}

TEST(HttpAnswerer, SendsTheArgumentsOfCallsAsText) {
  Sample sample;
  sample.messages = nlohmann::ordered_json::parse(
      R"([{"role": "assistant", "content": "", "tool_calls": [{"id": "1", "type": "function",
           "function": {"name": "find", "arguments": {"dock": 4, "aisle": 2}}}]}])");
  const auto [answer, sent] =
      ask_server(sample, R"({"message": {"content": "dry"}, "finish_reason": "stop"})");
  EXPECT_EQ(answer.text, "dry");
  EXPECT_EQ(sent["messages"][0]["tool_calls"][0]["function"]["arguments"], R"({"dock":4,"aisle":2})");
  EXPECT_FALSE(sent.contains("tools"));
}

TEST(HttpAnswerer, OffersToolsAndJudgesTheirCalls) {
  Sample sample = samples_saying({"hi"})[0];
  sample.tools =
      nlohmann::ordered_json::parse(R"([{"type": "function", "function": {"name": "stop_belt"}}])");
  sample.expected = {{"name", "stop_belt"}, {"arguments", {{"belt", 7}}}};
  const auto suites = make_suites(json::parse(R"([{"type": "toolCall"}])"));
  const auto score = [&](const std::string& message) {
    const auto [answer, sent] =
        ask_server(sample, R"({"finish_reason": "tool_calls", "message": )" + message + "}");
    EXPECT_EQ(sent["tools"], json(sample.tools));
    EXPECT_EQ(answer.finish_reason, "stop") << answer.error;
    Scores scores;
    suites[0]->score(sample, {.free = answer, .constrained = {}}, scores);
    return scores.at("toolCall");
  };
  constexpr const char* kCall =
      R"("tool_calls": [{"id": "1", "type": "function", "function": {"name": "stop_belt", "arguments": "{\"belt\": 7}"}}])";
  EXPECT_EQ(score(R"({"content": null, )" + std::string(kCall) + "}"), 1);
  EXPECT_EQ(score("{" + std::string(kCall) + "}"), 1);
  EXPECT_EQ(score(R"({"content": "I stop {it}.", )" + std::string(kCall) + "}"), 1);
  EXPECT_EQ(score(R"({"content": "stop_belt"})"), 0);
  EXPECT_EQ(
      score(R"({"content": null, "tool_calls": [{"function": {"name": "stop_belt", "arguments": "{"}}]})"),
      0);
}

TEST(HttpAnswerer, AnAnswerOfNothingIsNone) {
  EXPECT_NE(ask_server(samples_saying({"hi"})[0], R"({"message": {}, "finish_reason": "stop"})").first.error,
            "");
}

TEST(Report, SurvivesTheDiskAndPairsById) {
  const Report before = run({R"({"n": 1})", R"({"n": 1})"});
  const auto path = std::filesystem::path(testing::TempDir()) / "report.json";
  write_file_atomically(path, to_json(before).dump());
  const Report baseline = read_report(path);
  std::filesystem::remove(path);
  Report after = run({R"({"n": 1})", "broken"});
  compare(after, baseline);
  const Metric& metric = after.metrics.at("jsonPass");
  EXPECT_DOUBLE_EQ(*metric.baseline, 1);
  EXPECT_DOUBLE_EQ(*metric.delta, -0.5);
  EXPECT_LE(metric.interval->low, -0.5);
  EXPECT_FALSE(after.metrics.at("latencyP50Ms").interval) << "another run differs by more than prompts do";
  after.samples[1].text = R"({"n": 23})";
  const std::string page = to_html(after, baseline, {{"s1", "user: <what>?"}});
  EXPECT_NE(page.find("Prompts that got worse: 1 of 2"), std::string::npos);
  EXPECT_NE(page.find("user: &lt;what&gt;?"), std::string::npos) << "escaped";
  EXPECT_NE(page.find("<mark>23</mark>"), std::string::npos) << "what differs is marked";
  EXPECT_NE(page.find("the same answer"), std::string::npos) << "others are shown for a spot check";
  EXPECT_NE(page.find("-50.00 pp"), std::string::npos);
  EXPECT_LT(summary(after).dump().size(), 4096u);
}

/// What scoring three texts came to.
Report scored(std::vector<TokenSum> texts) {
  Report report;
  report.model = report.setting = json::object();
  TokenSum all;
  for (const TokenSum& text : texts) all = {all.sum + text.sum, all.tokens + text.tokens};
  report.metrics["perplexity"] = {.value = std::exp(all.sum / static_cast<double>(all.tokens)),
                                  .n = all.tokens};
  report.likelihoods["perplexity"] = std::move(texts);
  return report;
}

TEST(Report, PerplexitiesArePairedTextByText) {
  const auto path = std::filesystem::path(testing::TempDir()) / "scored.json";
  write_file_atomically(path, to_json(scored({{10, 10}, {40, 10}, {30, 20}})).dump());
  const Report baseline = read_report(path);
  std::filesystem::remove(path);
  // Texts differ much, the two models little: paired, the interval is as narrow as their difference.
  Report worse = scored({{11, 10}, {41, 10}, {32, 20}});
  compare(worse, baseline);
  const Interval interval = worse.metrics.at("perplexity").interval.value();
  const double delta = *worse.metrics.at("perplexity").delta;
  EXPECT_NEAR(delta, std::exp(2.1) - std::exp(2.0), 1e-9);
  EXPECT_NEAR(interval.low, std::exp(1.1) - std::exp(1.0), 1e-9) << "the first text alone";
  EXPECT_NEAR(interval.high, std::exp(4.1) - std::exp(4.0), 1e-9) << "the second text alone";
  Report same = scored({{10, 10}, {40, 10}, {30, 20}});
  compare(same, baseline);
  EXPECT_EQ(same.metrics.at("perplexity").interval->high, 0);
  Report cut_otherwise = scored({{10, 10}, {40, 11}, {30, 19}});
  compare(cut_otherwise, baseline);
  EXPECT_FALSE(cut_otherwise.metrics.at("perplexity").interval);
}

TEST(Report, GarbageIsNoBaseline) {
  const auto path = std::filesystem::path(testing::TempDir()) / "garbage.json";
  for (const char* text :
       {"", "[]", R"({"model": 1})", R"({"model": {}, "setting": {}, "metrics": {"a": {}}, "samples": []})",
        R"({"model": {}, "setting": "x", "metrics": {}, "samples": []})",
        R"({"model": {}, "setting": {"dataset": 1}, "metrics": {}, "samples": []})"}) {
    write_file_atomically(path, text);
    EXPECT_THROW(read_report(path), InputError) << text;
  }
  std::filesystem::remove(path);
}

TEST(Perplexity, IsTheExponentialOfTheMeanAndInfinityIsNeverHidden) {
  PerplexityMeter meter;
  const std::vector<float> logprobs = {std::log(0.5f), std::log(0.125f)};
  meter.add(logprobs);
  EXPECT_NEAR(meter.perplexity(), 4.0, 1e-6);
  const std::vector<float> broken = {std::numeric_limits<float>::quiet_NaN()};
  meter.add(broken);
  EXPECT_TRUE(std::isinf(meter.perplexity()));
}

/// A tokenizer of single characters.
tokenizer::Tokenizer letters() {
  formats::TokenizerData data;
  data.model = formats::TokenizerData::Model::kBpe;
  data.pre = "default";
  for (char c = '!'; c <= '~'; ++c) {
    data.tokens.emplace_back(1, c);
    data.types.push_back(formats::TokenizerData::TokenType::kNormal);
  }
  return tokenizer::Tokenizer(data);
}

TEST(Perplexity, RollsOverTextInTheWindowsOfLmEval) {
  const tokenizer::Tokenizer tokenizer = letters();
  // Each token's logarithm is minus its place among what the window reads: 1, 2, … behind the first.
  std::vector<std::string> windows;
  const Scorer score = [&](std::span<const tokenizer::TokenId> tokens) {
    std::string text;
    std::vector<float> logprobs;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      text += tokens[i] == 9 ? '^' : static_cast<char>('!' + tokens[i]);
      if (i > 0) logprobs.push_back(-static_cast<float>(i));
    }
    windows.push_back(text);
    return logprobs;
  };
  PerplexityMeter meter;
  int advanced = 0;
  add_rolling_text(meter, score, tokenizer, "abcdefghij", 9, 4, [&] { ++advanced; });
  // lm_eval.utils.get_rolling_token_windows(list("abcdefghij"), "^", 4, 1), made disjoint, input and last
  // token.
  EXPECT_EQ(windows, (std::vector<std::string>{"^abcd", "defgh", "fghij"}));
  EXPECT_EQ(advanced, 3);
  EXPECT_EQ(meter.tokens(), 10);
  EXPECT_NEAR(std::log(meter.perplexity_over(1)), 1 + 2 + 3 + 4 + 1 + 2 + 3 + 4 + 3 + 4, 1e-5);
  windows.clear();
  PerplexityMeter short_text;
  add_rolling_text(short_text, score, tokenizer, "ab", 9, 4, [] {});
  EXPECT_EQ(windows, (std::vector<std::string>{"^ab"}));
}

TEST(Perplexity, WordsAreWhatPythonSplitsAtWhiteSpace) {
  EXPECT_EQ(words_of("one two\n\nthree"), 3);
  EXPECT_EQ(words_of(" one "), 3) << "re.split gives empty words at the ends";
  EXPECT_EQ(words_of("eins\u00a0zwei\u3000 drei"), 3);
  EXPECT_EQ(words_of(""), 1);
}

TEST(Report, InfinityIsWrittenAsNullAndReadBack) {
  Report report;
  report.model = report.setting = json::object();
  report.metrics["perplexity"] = {.value = std::numeric_limits<double>::infinity(), .n = 1};
  const auto path = std::filesystem::path(testing::TempDir()) / "infinite.json";
  write_file_atomically(path, to_json(report).dump());
  EXPECT_TRUE(std::isinf(read_report(path).metrics.at("perplexity").value));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace stepdown::eval
