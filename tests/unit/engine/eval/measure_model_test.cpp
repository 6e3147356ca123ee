#include "engine/eval/measure_model.h"

#include "tests/unit/engine/quant/random_model.h"
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/formats/model_file.h"

namespace stepdown::eval {
namespace {

using formats::HfFolder;

/// A random model and an adapter that changes one of its projections.
class MeasureModel : public testing::Test {
 protected:
  MeasureModel() {
    base_.tokenizer_config["chat_template"] = "{{ messages[0].content }}";
    base_.write();
    const nlohmann::json config = {{"peft_type", "LORA"}, {"r", 1}, {"lora_alpha", 1}, {"bias", "none"}};
    formats::write_file(adapter_ / "adapter_config.json", config.dump());
    const std::string module = "base_model.model.model.layers.0.self_attn.o_proj.";
    formats::write_file(adapter_ / "adapter_model.safetensors",
                        HfFolder::safetensors({{module + "lora_A.weight", alternating({1, 64})},
                                               {module + "lora_B.weight", alternating({64, 1})}}));
    Sample sample;
    sample.id = "1";
    sample.messages = nlohmann::ordered_json::array({{{"role", "user"}, {"content", "abaabbab"}}});
    sample.expected = "babbaaab";
    samples_ = {sample};
    options_.model = options_.reference = base_.folder.path();
    options_.context = 64;
    options_.max_tokens = 1;
    options_.threads = 1;
  }

  static HfFolder::Tensor alternating(std::vector<std::int64_t> shape) {
    std::string bytes;
    for (int i = 0; i < 64; ++i) {
      const float x = i % 3 == 0 ? 1.0f : -0.5f;
      bytes.append(reinterpret_cast<const char*>(&x), sizeof(x));
    }
    return {"F32", std::move(shape), bytes};
  }

  Report measured() const { return measure_model(options_, samples_, {}); }

  quant::RandomModel base_{0.05f};
  formats::TempFolder adapter_;
  std::vector<Sample> samples_;
  MeasureOptions options_;
};

TEST_F(MeasureModel, AReferenceWithTheCandidatesAdaptersDivergesFromItByQuantizationAlone) {
  options_.adapters = {adapter_.path()};  // as an artifact has them in it
  EXPECT_GT(measured().metrics.at("kld").value, 1e-3) << "the base knows nothing of them";
  options_.reference_adapters = {adapter_.path()};
  const Report report = measured();
  EXPECT_EQ(report.metrics.at("kld").value, 0);
  EXPECT_EQ(report.metrics.at("topTokenAgreement").value, 1);
  EXPECT_EQ(report.model["adapters"], formats::adapters_json(formats::parse_adapters(options_.adapters)))
      << "as quantize reports them";
  options_.reference_adapters = {adapter_.path().string() + "=0.5"};
  EXPECT_GT(measured().metrics.at("kld").value, 1e-5) << "by their weight";
}

TEST_F(MeasureModel, AReferenceThatCannotBeMergedIsToldBeforeTheLongWork) {
  options_.model = "no such model";
  options_.reference_adapters = {adapter_ / "none"};
  try {
    measured();
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("none"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace stepdown::eval
