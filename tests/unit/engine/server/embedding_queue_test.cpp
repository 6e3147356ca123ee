// Embeddings while the engine is busy.
#include <filesystem>
#include <future>
#include <thread>

#include <gtest/gtest.h>
#include <httplib.h>

#include "engine/formats/model_file.h"
#include "engine/server/api_error.h"
#include "engine/server/embeddings.h"
#include "engine/server/http_service.h"

namespace stepdown::server {
namespace {

using namespace std::chrono_literals;

const std::filesystem::path kGoldens = std::filesystem::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime";

/// One sequence is decoded and one may wait; the engine stands still until it is let go.
class BusyEngine : public testing::Test {
 protected:
  BusyEngine()
      : engine_(formats::open_model(kGoldens / "tied_gqa"),
                {.context = 64, .max_sequences = 1, .threads = 1, .max_queue = 1}) {
    runtime::GenerateRequest request;
    request.prompt = {1, 2};
    request.max_tokens = 1;
    request.on_event = [this](const runtime::TokenEvent& event) {
      if (event.token < 0) return;
      held_.set_value();
      go_.get_future().wait();
    };
    EXPECT_FALSE(engine_.submit(std::move(request)).refusal);
    held_.get_future().wait();
  }
  ~BusyEngine() override { let_go(); }

  void let_go() {
    if (!std::exchange(gone_, true)) go_.set_value();
  }

  std::promise<void> held_, go_;
  bool gone_ = false;
  runtime::Engine engine_;
};

std::vector<runtime::EmbedRequest> one_text() {
  return std::vector<runtime::EmbedRequest>(1, runtime::EmbedRequest{.tokens = {3, 4, 5}});
}

TEST_F(BusyEngine, AFullQueueRefusesTexts) {
  Embedding waits(engine_, one_text());
  try {
    Embedding(engine_, one_text());
    FAIL() << "it was taken";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 429);
  }
  EXPECT_FALSE(waits.done_within(0ms));
  let_go();
  while (!waits.done_within(1000ms)) {
  }
  EXPECT_EQ(waits.vectors().size(), 1U);
}

TEST_F(BusyEngine, TextsThatNobodyWaitsForAreNotComputed) {
  { const Embedding gone(engine_, one_text()); }
  let_go();
  engine_.embed(std::vector<runtime::TokenId>{6});
  while (engine_.stats().prompt_tokens < 3) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(engine_.stats().prompt_tokens, 3U) << "two of the answer's and one of the last text";
}

TEST_F(BusyEngine, RefusalsOverHttpSayWhenToComeBack) {
  HttpService service(engine_, formats::open_model(kGoldens / "tied_gqa")->tokenizer(),
                      ServiceOptions{.port = 0, .names = {"m"}, .revision = "r"});
  std::thread thread([&] { service.run(); });
  httplib::Client client("127.0.0.1", service.port());
  const Embedding waits(engine_, one_text());
  const auto refused =
      client.Post("/v1/embeddings", R"({"model": "m", "input": [3, 4]})", "application/json");
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 429);
  EXPECT_TRUE(refused->has_header("Retry-After"));
  const auto too_many =
      client.Post("/v1/embeddings", R"({"model": "m", "input": [[3], [4], [5]]})", "application/json");
  ASSERT_TRUE(too_many);
  EXPECT_EQ(too_many->status, 400) << "two are all that it can ever hold";
  service.stop();
  thread.join();
}

}  // namespace
}  // namespace stepdown::server
