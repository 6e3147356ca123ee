#include "engine/server/generation.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/formats/model_file.h"

namespace stepdown::server {
namespace {

using namespace std::chrono_literals;

const std::filesystem::path kGoldens = std::filesystem::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime";

class GenerationTest : public testing::Test {
 protected:
  std::unique_ptr<Generation> ask(int n) {
    Request request;
    request.n = n;
    std::vector<runtime::GenerateRequest> sequences(static_cast<std::size_t>(n));
    for (runtime::GenerateRequest& sequence : sequences) {
      sequence.prompt = {1, 2, 3};
      sequence.max_tokens = 2;
      sequence.ignore_end = true;
    }
    return std::make_unique<Generation>(engine_, metrics_, request, AnswerHead{}, std::move(sequences),
                                        tool_format_of(""), std::nullopt, "");
  }
  bool shows(const std::string& line) {
    return metrics_.expose(engine_.stats()).find(line + "\n") != std::string::npos;
  }

  runtime::Engine engine_{formats::open_model(kGoldens / "tied_gqa"),
                          {.context = 64, .max_sequences = 2, .threads = 1}};
  Metrics metrics_{"m", "r"};
};

TEST_F(GenerationTest, PromptsCountOnceTheyAreComputed) {
  const std::string prompts = R"(vllm:prompt_tokens_total{model_name="m",revision="r"} )";
  ask(1).reset();
  EXPECT_TRUE(shows(prompts + "0")) << "nobody waited for it";
  const auto generation = ask(2);
  EXPECT_TRUE(shows(prompts + "0")) << "it has only been taken";
  while (!generation->done()) generation->next(1s);
  EXPECT_TRUE(shows(prompts + "3")) << "both choices have the same prompt: "
                                    << metrics_.expose(engine_.stats());
}

}  // namespace
}  // namespace stepdown::server
