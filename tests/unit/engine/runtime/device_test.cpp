// Tokens that a GPU's engine chooses from what leads in a row are those of the whole row. (A bias of nothing
// makes the sampler ask for whole rows.)
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>

#include <gtest/gtest.h>

#include "engine/runtime/engine.h"

namespace stepdown::runtime {
namespace {

namespace fs = std::filesystem;

const fs::path kModel = fs::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime/tied_gqa";

std::unique_ptr<Engine> engine_on_device(const fs::path& draft = {}) {
  const fs::path bin = STEPDOWN_BIN_DIR;
  ::setenv("STEPDOWN_CUDA_LIBRARY", (bin.parent_path() / "lib/libstepdown-cuda-emulated.so").c_str(), 1);
  EngineOptions options{.context = 128, .threads = 1};
  options.device = {kernels::cuda::DeviceRequest::Kind::kCuda};
  options.draft_tokens = draft.empty() ? 0 : 3;
  auto engine = std::make_unique<Engine>(formats::open_model(kModel), options,
                                         draft.empty() ? nullptr : formats::open_model(draft));
  ::unsetenv("STEPDOWN_CUDA_LIBRARY");
  return engine;
}

using Events = std::vector<TokenEvent>;

Events answer(Engine& engine, const Sampling& sampling, std::int32_t top_logprobs) {
  struct Record {
    Events events;
    std::promise<void> done;
  };
  const auto record = std::make_shared<Record>();
  GenerateRequest request{
      .prompt = {1, 38, 75, 17, 54}, .max_tokens = 6, .sampling = sampling, .top_logprobs = top_logprobs};
  request.ignore_end = true;
  request.on_event = [record](const TokenEvent& event) {
    record->events.push_back(event);
    if (event.finish) record->done.set_value();
  };
  EXPECT_FALSE(engine.submit(std::move(request)).refusal);
  record->done.get_future().wait();
  return record->events;
}

void expect_equal(const Events& led, const Events& whole) {
  ASSERT_EQ(led.size(), whole.size());
  for (std::size_t i = 0; i < led.size(); ++i) {
    EXPECT_EQ(led[i].token, whole[i].token) << "token " << i;
    EXPECT_NEAR(led[i].logprob, whole[i].logprob, 1e-4) << "token " << i;
    EXPECT_NEAR(led[i].entropy, whole[i].entropy, 1e-3) << "token " << i;
    ASSERT_EQ(led[i].top_logprobs.size(), whole[i].top_logprobs.size());
    for (std::size_t k = 0; k < led[i].top_logprobs.size(); ++k) {
      EXPECT_EQ(led[i].top_logprobs[k].first, whole[i].top_logprobs[k].first);
      EXPECT_NEAR(led[i].top_logprobs[k].second, whole[i].top_logprobs[k].second, 1e-4);
    }
  }
}

const Sampling kKinds[] = {{},
                           {.temperature = 1.0f, .seed = 3},
                           {.temperature = 0.7f, .top_p = 0.9f, .seed = 4},
                           {.temperature = 0.2f, .top_p = 0.5f, .seed = 5},
                           {.temperature = 1.0f, .top_k = 20, .seed = 6}};

void expect_equal_answers(Engine& engine) {
  for (Sampling sampling : kKinds) {
    SCOPED_TRACE("seed " + std::to_string(sampling.seed));
    Sampling whole = sampling;
    whole.logit_bias = {{0, 0.0f}};
    const std::int32_t top_logprobs = sampling.seed == 3 ? 70 : 5;  // more than lead
    expect_equal(answer(engine, sampling, top_logprobs), answer(engine, whole, top_logprobs));
  }
}

TEST(OnDevice, LeadingTokensDecideAsWholeRowsDo) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer does not follow the emulation's fibers";
#endif
  const auto engine = engine_on_device();
  expect_equal_answers(*engine);
}

TEST(OnDevice, DraftsChangeNothingThereEither) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer does not follow the emulation's fibers";
#endif
  const auto drafted = engine_on_device(kModel);
  const auto engine = engine_on_device();
  for (const Sampling& sampling : kKinds)
    expect_equal(answer(*drafted, sampling, 0), answer(*engine, sampling, 0));
  EXPECT_GT(drafted->stats().held_tokens, 0u);
}

}  // namespace
}  // namespace stepdown::runtime
