#include "engine/formats/inspection.h"

#include <algorithm>

#include "tests/unit/engine/formats/hf_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/termination_log.h"
#include "engine/formats/gguf_writer.h"
#include "engine/formats/header_facts.h"

namespace stepdown::formats {
namespace {

TEST(Inspect, TellsDigestConfigurationAndMemory) {
  HfFolder hf;
  hf.write();
  const nlohmann::json found = inspect(hf.folder.path());
  EXPECT_EQ(found["digest"], "sha256:" + artifact_digest(hf.folder.path()));
  EXPECT_EQ(found["format"], "safetensors");
  EXPECT_EQ(found["served"], true);
  EXPECT_EQ(found["parameters"], 8 * (6 + 16 + 8 + 8 + 16 + 12 + 12 + 12 + 3));
  EXPECT_EQ(found["architecture"], "llama");
  EXPECT_EQ(found["config"]["contextLength"], 64);
  EXPECT_EQ(found["tensors"], (nlohmann::json{{"F16", 8}, {"F32", 3}}));
  EXPECT_EQ(found["memory"]["kvPerToken"], 2 * 1 * 1 * 8 * 2);
  EXPECT_EQ(found["templateDigest"], "sha256:" + sha256_hex("{{ x }}"));
  EXPECT_LT(found.dump().size(), 4096u) << "must fit a termination message";
}

TEST(Inspect, AGgufOfTheModelHasTheSameTokenizerDigest) {
  HfFolder hf;
  hf.write();
  const auto model = open_model(hf.folder.path());
  const TempFolder out;
  std::vector<GgufTensor> tensors;
  for (const TensorView& tensor : model->tensors())
    tensors.push_back({tensor.name, tensor.type, tensor.shape});
  GgufWriter writer(out / "model.gguf", model->gguf_metadata(), tensors);
  for (const TensorView& tensor : model->tensors()) {
    model->prepare(tensor);
    writer.write(tensor.data);
  }
  writer.finish();
  EXPECT_EQ(inspect(out / "model.gguf")["tokenizerDigest"], inspect(hf.folder.path())["tokenizerDigest"]);
  EXPECT_EQ(inspect(out / "model.gguf")["templateDigest"], inspect(hf.folder.path())["templateDigest"]);
  TokenizerData changed = model->tokenizer();
  changed.tokens[1] = "other";
  EXPECT_NE(tokenizer_digest(changed), tokenizer_digest(model->tokenizer()));
}

TEST(Inspect, OfAModelThatOnlyOtherEnginesReadTellsItsHeaders) {
  HfFolder hf;
  hf.config.update({{"model_type", "deepseek_v3"},
                    {"kv_lora_rank", 4},
                    {"qk_rope_head_dim", 2},
                    {"qk_nope_head_dim", 6},
                    {"v_head_dim", 6},
                    {"moe_intermediate_size", 10}});
  hf.write();
  const nlohmann::json found = inspect(hf.folder.path());
  EXPECT_EQ(found["served"], false);
  EXPECT_EQ(found["architecture"], "deepseek_v3");
  EXPECT_EQ(found["digest"], "sha256:" + artifact_digest(hf.folder.path()));
  EXPECT_EQ(found["config"]["contextLength"], 64);
  EXPECT_EQ(found["config"]["feedForward"], 10) << "an expert's";
  EXPECT_EQ(found["memory"]["kvPerToken"], (4 + 2) * 2);
  EXPECT_GT(found["memory"]["weights"], 0);
  const std::string tokenizer = found["tokenizerDigest"], text = found["templateDigest"];
  hf.tokenizer["added_tokens"][0]["content"] = "<|other|>";
  hf.write();
  EXPECT_NE(inspect(hf.folder.path())["tokenizerDigest"], tokenizer);
  EXPECT_EQ(inspect(hf.folder.path())["templateDigest"], text);
}

TEST(Inspect, NamesTheFormatOfAQuantizedBase) {
  HfFolder hf;
  hf.config["quantization_config"] = {{"quant_method", "modelopt"}};
  hf.write();
  const nlohmann::json found = inspect(hf.folder.path());
  EXPECT_EQ(found["format"], "modelopt");
  EXPECT_EQ(found["served"], false);
  EXPECT_EQ(found["parameters"], 0) << "packed";
}

TEST(HeaderFacts, FilesCountAndNotWhatAnIndexSaysOfThem) {
  HfFolder hf;
  hf.write();
  const auto index = [&](const char* file) {
    write_file(hf.folder / "model.safetensors.index.json",
               nlohmann::json{{"metadata", {{"total_size", 7}}}, {"weight_map", {{"a", file}}}}.dump());
    return read_header_facts(hf.folder.path()).weights;
  };
  const std::int64_t whole = 2 * 8 * (6 + 16 + 8 + 8 + 16 + 12 + 12 + 12 + 3);
  EXPECT_EQ(index("model.safetensors"), whole);
  EXPECT_EQ(index("not-here.safetensors"), 7) << "enough to plan with";
  std::filesystem::remove(hf.folder / "model.safetensors.index.json");
  std::filesystem::resize_file(hf.folder / "model.safetensors",
                               std::filesystem::file_size(hf.folder / "model.safetensors") - 1);
  EXPECT_THROW(read_header_facts(hf.folder.path()), InputError) << "cut short";
  write_file(hf.folder / "model.safetensors", HfFolder::with_length("{}"));
  EXPECT_THROW(read_header_facts(hf.folder.path()), InputError) << "no tensors";
}

/// The model's tensors in files as gguf-split makes them: the first has all metadata.
void write_shards(const ModelFile& model, const TempFolder& out, std::size_t count) {
  const auto all = model.tensors();
  for (std::size_t i = 0; i < count; ++i) {
    const auto part =
        all.subspan(all.size() * i / count, all.size() * (i + 1) / count - all.size() * i / count);
    std::vector<GgufTensor> tensors;
    for (const TensorView& tensor : part) tensors.push_back({tensor.name, tensor.type, tensor.shape});
    const std::string name = "m-0000" + std::to_string(i + 1) + "-of-0000" + std::to_string(count) + ".gguf";
    GgufWriter writer(out / name, i == 0 ? model.gguf_metadata() : GgufMetadata{}, tensors);
    for (const TensorView& tensor : part) {
      model.prepare(tensor);
      writer.write(tensor.data);
    }
    writer.finish();
  }
}

TEST(GgufShards, AreOneModel) {
  HfFolder hf;
  hf.write();
  const auto model = open_model(hf.folder.path());
  const TempFolder out;
  write_shards(*model, out, 3);
  const nlohmann::json found = inspect(out.path()), whole = inspect(hf.folder.path());
  EXPECT_EQ(found["tensors"], whole["tensors"]);
  EXPECT_EQ(found["memory"]["weights"], whole["memory"]["weights"]);
  EXPECT_EQ(found["parameters"], whole["parameters"]);
  const auto opened = open_model(out.path());
  for (const TensorView& tensor : model->tensors()) {
    const TensorView* read = opened->find(tensor.name);
    ASSERT_NE(read, nullptr) << tensor.name;
    model->prepare(tensor);
    EXPECT_TRUE(std::ranges::equal(read->data, tensor.data)) << tensor.name;
  }
}

TEST(GgufShards, AMissingOneIsNamedAndNoneIsAModelAlone) {
  HfFolder hf;
  hf.write();
  const TempFolder out;
  write_shards(*open_model(hf.folder.path()), out, 3);
  const auto problem = [](const std::filesystem::path& path) -> std::string {
    try {
      open_model(path);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(problem(out / "m-00001-of-00003.gguf"), testing::HasSubstr("one of 3 files of a model"));
  EXPECT_THROW(read_header_facts(out / "m-00001-of-00003.gguf"), InputError);
  std::filesystem::copy_file(out / "m-00001-of-00003.gguf", out / "mmproj-model.gguf");
  EXPECT_EQ(problem(out.path()), "") << "the projector beside it is no part of it";
  std::filesystem::copy_file(out / "m-00001-of-00003.gguf", out / "other.gguf");
  EXPECT_THAT(problem(out.path()), testing::HasSubstr("holds 4 .gguf files"));
  std::filesystem::remove(out / "other.gguf");
  std::filesystem::remove(out / "m-00002-of-00003.gguf");
  EXPECT_THAT(problem(out.path()), testing::HasSubstr("m-00002-of-00003.gguf is missing"));
}

}  // namespace
}  // namespace stepdown::formats
