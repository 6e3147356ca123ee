// Many clients of all kinds at once against a server whose memory is short: what sanitizers should see.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include "engine/formats/model_file.h"
#include "engine/runtime/engine.h"
#include "engine/server/http_service.h"
#include "engine/server/load_generator.h"

namespace stepdown::server {
namespace {

using nlohmann::json;

const std::filesystem::path kGoldens = std::filesystem::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime";

class ServingLoad : public testing::Test {
 protected:
  ServingLoad() {
    auto file = formats::open_model(kGoldens / "tied_gqa");
    const formats::TokenizerData tokenizer = file->tokenizer();
    // Room for two and a half whole contexts where four sequences may run: they step back for each other.
    engine_ = std::make_unique<runtime::Engine>(std::move(file),
                                                runtime::EngineOptions{.context = 128,
                                                                       .max_sequences = 4,
                                                                       .threads = 2,
                                                                       .prefill_chunk = 32,
                                                                       .max_queue = 6,
                                                                       .kv_tokens = 320,
                                                                       .draft_tokens = 3},
                                                formats::open_model(kGoldens / "untied_mha"));
    service_ = std::make_unique<HttpService>(*engine_, tokenizer,
                                             ServiceOptions{.port = 0, .names = {"m"}, .revision = "r"});
    thread_ = std::thread([this] { service_->run(); });
  }
  ~ServingLoad() override {
    service_->stop();
    thread_.join();
  }

  httplib::Client client() const {
    httplib::Client client("127.0.0.1", service_->port());
    client.set_read_timeout(std::chrono::minutes(2));
    return client;
  }
  httplib::Result post(const json& fields, const char* path = "/v1/completions") const {
    json body = {{"model", "m"}, {"temperature", 0}, {"max_tokens", 40}, {"ignore_eos", true}};
    body.update(fields);
    return client().Post(path, body.dump(), "application/json");
  }
  static std::string prompt(int i) {
    return "The pump on deck two asks for " + std::string(1, static_cast<char>('a' + i));
  }
  static std::string text_of(const httplib::Result& result) {
    return json::parse(result->body)["choices"][0]["text"];
  }

  std::unique_ptr<runtime::Engine> engine_;
  std::unique_ptr<HttpService> service_;
  std::thread thread_;
};

TEST_F(ServingLoad, EveryAnswerIsWholeOrRefused) {
  constexpr int kPrompts = 6;
  std::map<int, std::string> alone;
  for (int i = 0; i < kPrompts; ++i) alone[i] = text_of(post({{"prompt", prompt(i)}}));
  std::atomic<int> whole = 0, refused = 0, late = 0, constrained = 0;
  const auto tell = [&](const httplib::Result& result) {
    ASSERT_TRUE(result) << httplib::to_string(result.error());
    if (result->status == 429) {
      ++refused;
      EXPECT_TRUE(result->has_header("Retry-After"));
    } else if (result->status == 504) {
      ++late;
    } else {
      ASSERT_EQ(result->status, 200) << result->body;
    }
  };
  const json schema = {{"type", "array"}, {"items", {{"enum", {"ab", 7}}}}, {"minItems", 2}, {"maxItems", 2}};
  const std::vector<std::function<void(int)>> kinds = {
      [&](int i) {
        const auto result = post({{"prompt", prompt(i % kPrompts)}});
        tell(result);
        if (result->status != 200) return;
        ++whole;
        EXPECT_EQ(text_of(result), alone[i % kPrompts]);
      },
      [&](int i) {
        tell(post(
            {{"prompt", prompt(i)}, {"temperature", 1}, {"n", 2}, {"logprobs", 2}, {"priority", i % 3 - 1}}));
      },
      [&](int i) {
        tell(post({{"prompt", prompt(i)}, {"deadline_ms", 1 + i % 20}}));
      },
      [&](int i) {
        const auto result = post({{"prompt", prompt(i)},
                                  {"temperature", 1},
                                  {"structured_outputs", {{"json", schema}}},
                                  {"ignore_eos", false}});
        tell(result);
        if (result->status != 200) return;
        const json choice = json::parse(result->body)["choices"][0];
        if (choice["finish_reason"] != "stop") return;
        ++constrained;
        EXPECT_EQ(json::parse(choice["text"].get<std::string>()).size(), 2U);
      },
      [&](int i) {  // hangs up in the middle
        httplib::Client hasty = client();
        httplib::Request request;
        request.method = "POST";
        request.path = "/v1/completions";
        request.headers = {{"Content-Type", "application/json"}};
        request.body = json{
            {"model", "m"},
            {"prompt", prompt(i)},
            {"max_tokens", 80},
            {"ignore_eos", true},
            {"stream",
             true}}.dump();
        int events = 0;
        request.content_receiver = [&](const char*, std::size_t, std::uint64_t, std::uint64_t) {
          return ++events < 3;
        };
        hasty.send(request);
      },
      [&](int i) {
        tell(post({{"input", prompt(i)}}, "/v1/embeddings"));
      },
      [&](int) { EXPECT_EQ(client().Get("/metrics")->status, 200); },
  };
  std::vector<std::thread> clients;
  for (int who = 0; who < 12; ++who) {
    clients.emplace_back([&, who] {
      for (int i = 0; i < 14; ++i) kinds[static_cast<std::size_t>(who + i) % kinds.size()](who + i);
    });
  }
  for (std::thread& each : clients) each.join();
  EXPECT_GT(whole, 0);
  EXPECT_GT(refused, 0) << "twelve clients overflow four sequences and a queue of six";
  EXPECT_GT(constrained, 0);
  for (int i = 0; i < 100 && engine_->stats().running + engine_->stats().waiting > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const runtime::EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.waiting, 0);
  EXPECT_EQ(stats.kv_usage, 0.0) << "every page came back";
  EXPECT_EQ(text_of(post({{"prompt", prompt(0)}})), alone[0]) << "and nothing of it shows afterwards";
}

TEST_F(ServingLoad, TheLoadGeneratorMeasuresWhatIsThere) {
  const LoadPlan plan{.url = "http://127.0.0.1:" + std::to_string(service_->port()),
                      .model = "m",
                      .shared = "All of these begin with the same words, which fill more than a page of it.",
                      .concurrency = 3,
                      .requests = 9,
                      .prompt_words = 3,
                      .generate = 10,
                      .extra = {}};
  const LoadResult result = run_load(plan, 0);
  ASSERT_EQ(result.answers.size(), 9U);
  std::int64_t cached = 0;
  for (const AnswerTimes& answer : result.answers) {
    EXPECT_EQ(answer.tokens, 10);
    EXPECT_GT(answer.prompt_tokens, 50);
    EXPECT_GT(answer.first, 0.0);
    EXPECT_GE(answer.whole, answer.first);
    cached += answer.cached_tokens;
  }
  EXPECT_GT(cached, 0) << "a shared beginning is computed once";
  const auto summary = load_summary(plan, result);
  EXPECT_EQ(summary["tokens"], 90);
  EXPECT_NEAR(summary["tokensPerSecond"].get<double>(), 90 / result.seconds, 1e-6);
}

}  // namespace
}  // namespace stepdown::server
