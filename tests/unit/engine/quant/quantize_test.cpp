#include <algorithm>
#include <filesystem>

#include "tests/unit/engine/quant/quantizable_folder.h"
#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/formats/model_file.h"
#include "engine/formats/staging_folder.h"
#include "engine/quant/gguf_quantizer.h"
#include "engine/quant/method.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;
using formats::TempFolder;
using formats::write_file;

TEST(Quantize, FolderBecomesLoadableGgufWhoseBytesDoNotDependOnThreads) {
  QuantizableFolder hf;
  hf.write();
  const auto model = formats::open_model(hf.folder.path());
  const TempFolder out;
  const GgufPlan plan = plan_preset(*model, "Q8_0", false);
  const WrittenGguf one = write_gguf(*model, plan, out / "1.gguf", 1, "test");
  const WrittenGguf seven = write_gguf(*model, plan, out / "7.gguf", 7, "test");
  EXPECT_EQ(one.digest, seven.digest);
  EXPECT_EQ(one.digest, sha256_file(out / "1.gguf"));
  EXPECT_EQ(read_file(out / "1.gguf"), read_file(out / "7.gguf"));
  const auto written = formats::open_model(out / "1.gguf");
  EXPECT_EQ(written->config().hidden, 32);
  EXPECT_EQ(written->tokenizer().tokens, model->tokenizer().tokens);
  EXPECT_EQ(written->find("blk.0.attn_q.weight")->type, DType::kQ8_0);
  EXPECT_EQ(written->find("blk.0.attn_output.weight")->type, DType::kF16) << "16 columns fill no block";
  EXPECT_EQ(written->find("blk.0.attn_norm.weight")->type, DType::kF32);
  EXPECT_EQ(one.tensors.at("Q8_0"), 7);
}

TEST(Quantize, ConvertingToF16KeepsEveryWeight) {
  QuantizableFolder hf;
  hf.write();
  const auto model = formats::open_model(hf.folder.path());
  const TempFolder out;
  write_gguf(*model, plan_f16(*model), out / "f16.gguf", 2, "test");
  const auto written = formats::open_model(out / "f16.gguf");
  ASSERT_EQ(written->tensors().size(), model->tensors().size());
  for (const TensorView& tensor : model->tensors()) {
    const TensorView* copy = written->find(tensor.name);
    ASSERT_NE(copy, nullptr) << tensor.name;
    EXPECT_EQ(copy->shape, tensor.shape);
    model->prepare(tensor);
    EXPECT_TRUE(std::ranges::equal(copy->data, tensor.data)) << tensor.name;
  }
}

TEST(Quantize, RefusesWhatItCannotHonour) {
  QuantizableFolder hf;
  hf.tensors["model.layers.0.mlp.up_proj.weight"].bytes.replace(64, 2, "\x00\x7e", 2);  // NaN
  hf.write();
  const auto model = formats::open_model(hf.folder.path());
  const TempFolder out;
  EXPECT_THROW(plan_preset(*model, "Q9", false), InputError);
  EXPECT_THROW(find_method("int7"), InputError);
  const auto run = [&](const std::string& preset, int bits, std::int64_t group_size) {
    MethodRequest request;
    request.preset = preset;
    request.weights.bits = bits;
    request.weights.group_size = group_size;
    find_method("gguf").run({*model, hf.folder.path(), request, nullptr, 2}, out.path());
  };
  EXPECT_THROW(run("Q8_0", 4, 0), InputError) << "bits";
  EXPECT_THROW(run("Q8_0", 0, 128), InputError) << "group size";
  try {
    run("Q8_0", 0, 0);
    FAIL() << "NaN went through";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("blk.0.ffn_up.weight"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("row 1"), std::string::npos) << error.what();
  }
}

// Whatever becomes of a tensor: norms and what stays as it is, copied, widened or rounded.
TEST(Quantize, RefusesWhatIsNotFiniteInAnyTensorByNameRowAndColumn) {
  const std::string half("\x00\x7e", 2);          // NaN
  const std::string brain("\x80\x7f", 2);         // infinity
  const std::string full("\x00\x00\x80\xff", 4);  // the negative one
  const struct {
    const char* hf;
    std::string type, bits;
    const char* said;
  } cases[] = {
      {"model.layers.0.input_layernorm.weight", "F16", half, "tensor 'blk.0.attn_norm.weight': row 0"},
      {"model.norm.weight", "BF16", brain, "tensor 'output_norm.weight': row 0"},
      {"model.layers.0.post_attention_layernorm.weight", "F32", full,
       "tensor 'blk.0.ffn_norm.weight': row 0"},
      {"model.embed_tokens.weight", "F16", half, "tensor 'token_embd.weight': row 0"},
      {"model.layers.0.self_attn.o_proj.weight", "F16", half, "tensor 'blk.0.attn_output.weight': row 0"},
      {"model.layers.0.mlp.down_proj.weight", "BF16", brain, "tensor 'blk.0.ffn_down.weight': row 0"},
  };
  for (const auto& each : cases) {
    QuantizableFolder hf;
    auto& tensor = hf.tensors[each.hf];
    std::size_t count = 1;
    for (const std::int64_t length : tensor.shape) count *= static_cast<std::size_t>(length);
    tensor.dtype = each.type;
    tensor.bytes.assign(count * each.bits.size(), '\0');
    tensor.bytes.replace(3 * each.bits.size(), each.bits.size(), each.bits);
    hf.write();
    const auto model = formats::open_model(hf.folder.path());
    for (const std::string method : {"gguf", "convert", "int8", "nf4", "fp8"}) {
      const TempFolder out;
      MethodRequest request;
      if (method == "gguf") request.preset = "Q8_0";
      try {
        if (method == "convert") {
          write_gguf(*model, plan_f16(*model), out / "f16.gguf", 2, "test");
        } else {
          find_method(method).run({*model, hf.folder.path(), request, nullptr, 2}, out.path());
        }
        ADD_FAILURE() << each.hf << " went through " << method;
      } catch (const InputError& error) {
        const std::string said = error.what();
        EXPECT_TRUE(said.starts_with(each.said)) << method << ": " << said;
        EXPECT_NE(said.find("not finite"), std::string::npos) << method << ": " << said;
        EXPECT_NE(said.find("the first in column 3;"), std::string::npos) << method << ": " << said;
      }
    }
  }
}

TEST(Quantize, QuantizedInputIsRefused) {
  QuantizableFolder hf;
  hf.write();
  const auto model = formats::open_model(hf.folder.path());
  const TempFolder out;
  write_gguf(*model, plan_preset(*model, "Q4_0", false), out / "q.gguf", 1, "test");
  EXPECT_THROW(plan_preset(*formats::open_model(out / "q.gguf"), "Q8_0", false), InputError);
}

TEST(StagingFolder, AbandonedOnesAreCleanedAndLivingOnesKept) {
  const TempFolder parent;
  fs::create_directories(parent / ".tmp-stepdown-dead0");
  write_file(parent / ".tmp-stepdown-dead0" / "model.gguf", "half");
  const formats::StagingFolder living(parent.path());
  EXPECT_FALSE(fs::exists(parent / ".tmp-stepdown-dead0"));
  {
    formats::StagingFolder second(parent.path());
    EXPECT_TRUE(fs::exists(living.path()));
    write_file(second.path() / "x", "1");
    second.publish_folder(parent / "result");
  }
  EXPECT_EQ(read_file(parent / "result" / "x"), "1");
  {
    formats::StagingFolder again(parent.path());
    write_file(again.path() / "x", "1");
    again.publish_folder(parent / "result");
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(parent.path()), fs::directory_iterator()), 2)
      << "result and living";
}

TEST(StagingFolder, OneThatIsTakenUpAgainStaysForAWeek) {
  const TempFolder parent;
  const std::string key = "0123456789abcdef";
  { const formats::StagingFolder kept(parent.path(), key); }
  EXPECT_TRUE(fs::is_empty(parent.path())) << "an empty one is of no use";
  {
    const formats::StagingFolder kept(parent.path(), key);
    write_file(kept.path() / "x", "1");
  }
  const auto age = [&](const std::string& name, int days) {
    fs::create_directories(parent / name);
    fs::last_write_time(parent / name, fs::file_time_type::clock::now() - std::chrono::hours(24 * days));
  };
  age(".partial-" + key, 6);
  age(".partial-00000000000000ff", 8);
  age(".partial-of-another-program", 8);
  {
    formats::StagingFolder other(parent.path(), "fedcba9876543210");
    EXPECT_EQ(read_file(parent / (".partial-" + key) / "x"), "1");
    EXPECT_FALSE(fs::exists(parent / ".partial-00000000000000ff"));
    EXPECT_TRUE(fs::exists(parent / ".partial-of-another-program"));
    write_file(other.path() / "x", "1");
    other.discard();
  }
  EXPECT_FALSE(fs::exists(parent / ".partial-fedcba9876543210"));
}

}  // namespace
}  // namespace stepdown::quant
