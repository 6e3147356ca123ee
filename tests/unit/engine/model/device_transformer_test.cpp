// The decoder on a device against the one on this processor: the same files, slices and pages, so the same
// logits up to what rounding activations to binary16 costs. The kernels' sources run emulated here
// (tests/emulation); with a GPU the same tests run on it too.
#include "engine/model/device_transformer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <numeric>
#include <optional>

#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/model/decoder.h"

namespace stepdown::model {
namespace {

namespace cuda = kernels::cuda;
namespace fs = std::filesystem;

fs::path golden_folder(const std::string& name) {
  return fs::path(STEPDOWN_SOURCE_DIR) / "tests/goldens/runtime" / name;
}

struct Case {
  std::string model;
  KvType kv_type = KvType::kF16;
  std::string library = "libstepdown-cuda-emulated.so";
};
std::ostream& operator<<(std::ostream& out, const Case& one) {
  return out << one.model << ' ' << kv_type_name(one.kv_type) << ' ' << one.library;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* model : {"tied_gqa", "untied_mha", "llama3_rope", "linear_rope", "yarn_rope", "mistral",
                            "qwen2", "qwen3", "phi3", "smollm3"})
    all.push_back({model});
  all.push_back({"tied_gqa", KvType::kInt8});
  for (const KvType type : {KvType::kFp8, KvType::kInt4}) all.push_back({"tied_gqa", type});
  for (const KvType type : {KvType::kF16, KvType::kInt8, KvType::kFp8, KvType::kInt4})
    all.push_back({"tied_gqa", type, "libstepdown-cuda.so"});
  return all;
}

/// Chooses the library for decoders that are made while it lives.
class WithLibrary {
 public:
  explicit WithLibrary(const std::string& name) {
    const fs::path bin = STEPDOWN_BIN_DIR;
    ::setenv("STEPDOWN_CUDA_LIBRARY", (bin.parent_path() / "lib" / name).c_str(), 1);
  }
  ~WithLibrary() { ::unsetenv("STEPDOWN_CUDA_LIBRARY"); }
  WithLibrary(const WithLibrary&) = delete;
  WithLibrary& operator=(const WithLibrary&) = delete;
};

class DeviceTransformerTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "ThreadSanitizer does not follow the emulation's fibers";
#endif
    const WithLibrary library(GetParam().library);
    const cuda::Machine machine = cuda::look_around();
    if (machine.devices.empty()) {
      ASSERT_EQ(GetParam().library, "libstepdown-cuda.so") << machine.why_none;
      GTEST_SKIP() << machine.why_none;
    }
  }

  std::unique_ptr<Decoder> decoder(const formats::ModelFile& file, cuda::DeviceRequest::Kind kind) {
    const WithLibrary library(GetParam().library);
    return make_decoder(
        file,
        {.context = 128, .max_rows = 80, .kv_pages = 6, .kv_type = GetParam().kv_type, .device = {kind}},
        pool_);
  }

  kernels::ThreadPool pool_{2};
};

std::vector<float> step(Decoder& decoder, std::span<const SequenceSlice> slices, std::int64_t vocab) {
  decoder.forward(slices);
  std::int64_t count = 0;
  for (const SequenceSlice& slice : slices) count += static_cast<std::int64_t>(slice.tokens.size());
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), 0);
  std::vector<float> logits(static_cast<std::size_t>(count * vocab));
  decoder.logits(rows, logits.data());
  return logits;
}

/// What leads in all rows of the last step, of which these are the logits.
void expect_leading(Decoder& decoder, const std::vector<float>& logits, std::int64_t vocab) {
  const auto width = static_cast<std::size_t>(vocab);
  std::vector<LeadingQuery> queries;
  for (std::size_t row = 0; row < logits.size() / width; ++row)
    queries.push_back({static_cast<std::int64_t>(row), row % 2 == 0 ? 0.5f : 2.0f});
  std::vector<LeadingLogits> found(queries.size());
  ASSERT_TRUE(decoder.finds_leading());
  decoder.leading(queries, found.data());
  for (std::size_t row = 0; row < queries.size(); ++row) {
    const std::span<const float> of_row = std::span(logits).subspan(row * width, width);
    const auto distribution = kernels::operations().summarize(of_row.data(), vocab);
    EXPECT_TRUE(found[row].distribution.finite);
    EXPECT_NEAR(found[row].distribution.log_sum, distribution.log_sum, 1e-4);
    ASSERT_EQ(found[row].count, std::min<std::int64_t>(vocab, LeadingLogits::kMost));
    std::vector<float> sorted(of_row.begin(), of_row.end());
    std::ranges::sort(sorted, std::ranges::greater());
    for (std::size_t i = 0; i < found[row].best().size(); ++i) {
      const auto [logit, token] = found[row].tokens[i];
      EXPECT_EQ(logit, of_row[static_cast<std::size_t>(token)]) << "row " << row;
      EXPECT_EQ(logit, sorted[i]) << "row " << row;
    }
    double mass = 0;
    for (const float x : of_row)
      mass += std::exp(static_cast<double>((x - distribution.maximum) / queries[row].temperature));
    EXPECT_NEAR(static_cast<double>(found[row].mass) / mass, 1.0, 1e-4);
  }
}

TEST_P(DeviceTransformerTest, LogitsAgreeWithTheProcessors) {
  const auto file = formats::open_model(golden_folder(GetParam().model));
  const std::int64_t vocab = file->config().vocab;
  const auto on_cpu = decoder(*file, cuda::DeviceRequest::Kind::kCpu);
  const auto again =
      formats::open_model(golden_folder(GetParam().model));  // loading gives back a file's memory
  const auto on_device = decoder(*again, cuda::DeviceRequest::Kind::kCuda);
  EXPECT_EQ(on_cpu->device(), "cpu");
  EXPECT_NE(on_device->device(), "cpu");

  std::vector<std::int32_t> tokens(100);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(1 + i * 37 % 90);
  const std::vector<std::int32_t> first_pages = {4, 1};
  const std::vector<std::int32_t> second_pages = {3};
  const std::span<const std::int32_t> all(tokens);
  // A prompt and the chunk of another; then single tokens of both, recorded as a graph and run again; then a
  // draft.
  const std::vector<std::vector<SequenceSlice>> steps = {
      {{all.first(60), 0, first_pages}, {all.subspan(7, 5), 0, second_pages}},
      {{all.subspan(60, 1), 60, first_pages}, {all.subspan(12, 1), 5, second_pages}},
      {{all.subspan(61, 1), 61, first_pages}, {all.subspan(13, 1), 6, second_pages}},
      {{all.subspan(62, 1), 62, first_pages}, {all.subspan(14, 1), 7, second_pages}},
      {{all.subspan(63, 4), 63, first_pages}},
      {{all.subspan(67, 1), 67, first_pages}},
  };
  const double tolerance = GetParam().kv_type == KvType::kF16    ? 0.01
                           : GetParam().kv_type == KvType::kInt8 ? 0.02
                                                                 : 0.1;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto expected = step(*on_cpu, steps[i], vocab);
    const auto found = step(*on_device, steps[i], vocab);
    double difference = 0;
    double size = 0;
    for (std::size_t k = 0; k < expected.size(); ++k) {
      ASSERT_TRUE(std::isfinite(found[k])) << "step " << i;
      difference += std::pow(static_cast<double>(found[k] - expected[k]), 2);
      size += std::pow(static_cast<double>(expected[k]), 2);
    }
    EXPECT_LT(std::sqrt(difference / size), tolerance) << "step " << i;
    expect_leading(*on_device, found, vocab);
    std::vector<float> a(static_cast<std::size_t>(file->config().hidden));
    std::vector<float> b(a.size());
    on_cpu->hidden(0, a.data());
    on_device->hidden(0, b.data());
    for (std::size_t k = 0; k < a.size(); ++k) EXPECT_NEAR(a[k], b[k], 10 * tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, DeviceTransformerTest, testing::ValuesIn(cases()));

TEST(DeviceTransformer, WhatNoKernelDoesIsRefusedOrLeftToTheProcessor) {
  const WithLibrary library("libstepdown-cuda-emulated.so");
  kernels::ThreadPool pool(1);
  for (const char* model : {"gemma2", "mixtral", "granite", "olmo2"}) {
    const auto file = formats::open_model(golden_folder(model));
    DecoderOptions options{
        .context = 64, .max_rows = 8, .kv_pages = 1, .device = {cuda::DeviceRequest::Kind::kCuda}};
    EXPECT_THROW(make_decoder(*file, options, pool), InputError) << model;
    options.device.kind = cuda::DeviceRequest::Kind::kAuto;
    EXPECT_EQ(make_decoder(*file, options, pool)->device(), "cpu") << model;
  }
}

TEST(DeviceTransformer, WhatDoesNotFitIsRefusedWithTheSum) {
  const WithLibrary library("libstepdown-cuda-emulated.so");
  kernels::ThreadPool pool(1);
  const auto file = formats::open_model(golden_folder("tied_gqa"));
  try {
    make_decoder(
        *file,
        {.context = 64, .max_rows = 8, .kv_pages = 1 << 20, .device = {cuda::DeviceRequest::Kind::kCuda}},
        pool);
    FAIL() << "a cache of 64 GiB fit";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("KV cache"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace stepdown::model
