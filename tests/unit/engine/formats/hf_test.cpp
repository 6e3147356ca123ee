#include <functional>

#include "tests/unit/engine/formats/hf_folder.h"
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/formats/hf_config.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {
namespace {

using TokenType = TokenizerData::TokenType;

/// The row numbers that HfFolder wrote into a 16-bit matrix.
std::vector<int> row_marks(const ModelFile& model, std::string_view name) {
  const TensorView& tensor = *model.find(name);
  model.prepare(tensor);
  std::vector<int> marks;
  const auto columns = static_cast<std::size_t>(tensor.columns());
  for (std::size_t row = 0; row < static_cast<std::size_t>(tensor.rows()); ++row) {
    marks.push_back(std::to_integer<int>(tensor.data[row * columns * 2]));
  }
  return marks;
}

TEST(HuggingFace, FolderOpensUnderGgufNames) {
  HfFolder hf;
  hf.write();
  const auto model = open_model(hf.folder.path());
  EXPECT_EQ(model->format(), "safetensors");
  EXPECT_EQ(model->config().architecture, "llama");
  EXPECT_EQ(model->config().heads, 2);
  EXPECT_TRUE(model->config().tied_embeddings);
  EXPECT_EQ(model->tensors().size(), 11u);
  ASSERT_NE(model->find("blk.0.ffn_down.weight"), nullptr);
  EXPECT_EQ(model->find("blk.0.ffn_down.weight")->shape, (std::vector<std::int64_t>{8, 12}));
  EXPECT_EQ(model->find("output.weight"), nullptr);
  const TensorView& norm = *model->find("blk.0.attn_norm.weight");
  EXPECT_EQ(norm.type, DType::kF32);
  float one = 0;
  std::memcpy(&one, norm.data.data() + 28, sizeof(one));
  EXPECT_EQ(one, 1.0f);
}

TEST(HuggingFace, QueryAndKeyRowsAreInterleaved) {
  HfFolder hf;
  hf.write();
  const auto model = open_model(hf.folder.path());
  const std::vector<int> queries = {0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15};
  EXPECT_EQ(row_marks(*model, "blk.0.attn_q.weight"), queries);
  EXPECT_EQ(row_marks(*model, "blk.0.attn_k.weight"), (std::vector<int>{0, 4, 1, 5, 2, 6, 3, 7}));
  EXPECT_EQ(row_marks(*model, "blk.0.attn_v.weight"), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
  model->release(*model->find("blk.0.attn_q.weight"));
  EXPECT_EQ(row_marks(*model, "blk.0.attn_q.weight"), queries) << "made again";
}

TEST(HuggingFace, ShardsAreJoinedByTheirIndex) {
  HfFolder hf;
  hf.write();
  auto second = hf.tensors;
  std::map<std::string, HfFolder::Tensor> first;
  first.insert(second.extract("model.norm.weight"));
  nlohmann::json map = {{"model.norm.weight", "a.safetensors"}};
  for (const auto& [name, tensor] : second) map[name] = "b.safetensors";
  std::filesystem::remove(hf.folder / "model.safetensors");
  write_file(hf.folder / "a.safetensors", HfFolder::safetensors(first));
  write_file(hf.folder / "b.safetensors", HfFolder::safetensors(second));
  const auto index = [&] {
    write_file(hf.folder / "model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  };
  index();
  EXPECT_EQ(open_model(hf.folder.path())->tensors().size(), 11u);
  map["model.norm.weight"] = "b.safetensors";
  map["model.layers.0.mlp.up_proj.weight"] = "a.safetensors";
  index();
  EXPECT_THROW(open_model(hf.folder.path()), InputError);
  map["model.norm.weight"] = "../a.safetensors";
  index();
  EXPECT_THROW(open_model(hf.folder.path()), InputError);
}

TEST(HuggingFace, TokenizerFactsComeFromAllItsFiles) {
  HfFolder hf;
  hf.write();
  const auto model = open_model(hf.folder.path());
  const TokenizerData& tokenizer = model->tokenizer();
  EXPECT_EQ(tokenizer.model, TokenizerData::Model::kBpe);
  EXPECT_EQ(tokenizer.pre, "smollm");
  EXPECT_EQ(tokenizer.tokens, (std::vector<std::string>{"<|im_end|>", "a", "b", "ab", "<tool>", "[PAD5]"}));
  EXPECT_EQ(tokenizer.types, (std::vector{TokenType::kControl, TokenType::kNormal, TokenType::kNormal,
                                          TokenType::kNormal, TokenType::kUserDefined, TokenType::kUnused}));
  EXPECT_EQ(tokenizer.merges, std::vector<std::string>{"a b"});
  EXPECT_EQ(tokenizer.eos, 0);
  EXPECT_EQ(tokenizer.end_of_turn, std::vector<std::int32_t>{4});
  EXPECT_FALSE(tokenizer.add_bos);
  EXPECT_EQ(tokenizer.chat_template, "{{ x }}");
  write_file(hf.folder / "chat_template.jinja", "{{ y }}");
  EXPECT_EQ(open_model(hf.folder.path())->tokenizer().chat_template, "{{ y }}");
}

TEST(HuggingFace, ByteFallbackMeansSentencePieceWithScoresByRank) {
  HfFolder hf;
  hf.tokenizer = nlohmann::json::parse(R"({
      "added_tokens": [{"id": 0, "content": "<unk>", "special": true}],
      "pre_tokenizer": null,
      "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
                     {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
      "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "▁", "type_id": 0}},
                         {"Sequence": {"id": "A", "type_id": 0}}]},
      "model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>",
                "vocab": {"<unk>": 0, "<0x0A>": 1, "▁": 2, "a": 3, "▁a": 4, "aa": 5}, "merges": ["a a", "▁ a"]}})");
  hf.tokenizer_config = {{"bos_token", "▁"}};
  hf.generation_config = nlohmann::json::object();
  hf.write();
  const auto model = open_model(hf.folder.path());
  const TokenizerData& tokenizer = model->tokenizer();
  EXPECT_EQ(tokenizer.model, TokenizerData::Model::kSentencePiece);
  EXPECT_EQ(tokenizer.types[0], TokenType::kUnknown);
  EXPECT_EQ(tokenizer.types[1], TokenType::kByte);
  EXPECT_EQ(tokenizer.unknown, 0);
  EXPECT_GT(tokenizer.scores[5], tokenizer.scores[4]);
  EXPECT_GT(tokenizer.scores[4], tokenizer.scores[3]);
  EXPECT_TRUE(tokenizer.add_space_prefix);
  EXPECT_TRUE(tokenizer.add_bos);
}

TEST(HuggingFace, LlamaThreeScalingBecomesFrequencyFactors) {
  HfFolder hf;
  hf.config["rope_theta"] = 500000.0;
  hf.config["rope_scaling"] = {{"rope_type", "llama3"},
                               {"factor", 8.0},
                               {"low_freq_factor", 1.0},
                               {"high_freq_factor", 4.0},
                               {"original_max_position_embeddings", 8192}};
  const HfConfig config = config_from_hf(JsonView::parse(hf.config.dump(), "config.json"));
  // Wave lengths of head_dim 8: 6.28, 167, 4443, 118139; 4443 lies between 8192/4 and 8192.
  ASSERT_EQ(config.rope_factors.size(), 4u);
  EXPECT_EQ(config.rope_factors[0], 1.0f);
  EXPECT_EQ(config.rope_factors[1], 1.0f);
  const double smooth = (8192 / 4442.882938158366 - 1.0) / 3.0;
  EXPECT_NEAR(config.rope_factors[2], 1.0 / ((1.0 - smooth) / 8.0 + smooth), 1e-5);
  EXPECT_EQ(config.rope_factors[3], 8.0f);
}

TEST(HuggingFace, MistralsLayersSlide) {
  HfFolder hf;
  hf.config["model_type"] = "mistral";
  hf.config["sliding_window"] = 32;
  const ModelConfig model = config_from_hf(JsonView::parse(hf.config.dump(), "config.json")).model;
  EXPECT_EQ(model.architecture, "llama");
  EXPECT_EQ(model.sliding_window, 32);
  EXPECT_EQ(model.full_attention_every, 0);
  EXPECT_EQ(model.context_length, 64);
}

TEST(HuggingFace, BadFoldersAreOneClearError) {
  const struct {
    const char* name;
    std::function<void(HfFolder&)> spoil;
    const char* says;
  } cases[] = {
      {"architecture", [](HfFolder& f) { f.config["model_type"] = "gpt2"; },
       "supported are llama, mistral, mixtral"},
      {"missing field", [](HfFolder& f) { f.config.erase("hidden_size"); }, "'hidden_size' is missing"},
      {"wrong type", [](HfFolder& f) { f.config["hidden_size"] = "8"; }, "$.hidden_size: is no integer"},
      {"huge", [](HfFolder& f) { f.config["vocab_size"] = 1ULL << 63; }, "$.vocab_size: is too large"},
      {"layers", [](HfFolder& f) { f.config["num_hidden_layers"] = 4000; }, "only 11 tensors"},
      {"more layers", [](HfFolder& f) { f.config["num_hidden_layers"] = 2; },
       "model.layers.1.input_layernorm"},
      {"shape", [](HfFolder& f) { f.config["intermediate_size"] = 13; }, "its shape is not what config.json"},
      {"longrope",
       [](HfFolder& f) {
         f.config["rope_scaling"] = {{"type", "longrope"}};
       },
       "\"longrope\" is not supported"},
      {"quantized",
       [](HfFolder& f) {
         f.config["quantization_config"] = {{"quant_method", "exl2"}};
       },
       "layout \"exl2\" is not supported"},
      {"bias", [](HfFolder& f) { f.config["attention_bias"] = true; }, "biases"},
      {"heads", [](HfFolder& f) { f.config["num_key_value_heads"] = 3; }, "does not divide"},
      {"token id", [](HfFolder& f) { f.tokenizer["model"]["vocab"]["z"] = 77; }, "beyond the vocabulary"},
      {"token twice", [](HfFolder& f) { f.tokenizer["model"]["vocab"]["z"] = 1; }, "is taken by"},
      {"merges", [](HfFolder& f) { f.tokenizer["model"]["merges"] = {7}; }, "merge 0"},
      {"model", [](HfFolder& f) { f.tokenizer["model"]["type"] = "Unigram"; },
       "\"Unigram\" is not supported"},
      {"pre",
       [](HfFolder& f) {
         f.tokenizer["pre_tokenizer"] = {{"type", "Odd"}};
       },
       "\"Odd\" is not supported"},
      {"eos", [](HfFolder& f) { f.generation_config["eos_token_id"] = 99; }, "beyond the vocabulary"},
      {"eos name", [](HfFolder& f) { f.tokenizer_config["eos_token"] = "x"; }, "'x' is no token"},
      {"stray", [](HfFolder& f) { f.tensors["x.lora_A"] = f.tensors["model.norm.weight"]; }, "x.lora_A"},
      {"missing tensor", [](HfFolder& f) { f.tensors.erase("model.norm.weight"); }, "model.norm.weight"},
      {"dtype", [](HfFolder& f) { f.tensors["model.norm.weight"].dtype = "F64"; }, "F64 is not supported"},
      {"size", [](HfFolder& f) { f.tensors["model.norm.weight"].bytes += "x"; }, "where the shape needs 16"},
  };
  for (const auto& bad : cases) {
    HfFolder hf;
    bad.spoil(hf);
    hf.write();
    try {
      open_model(hf.folder.path());
      ADD_FAILURE() << bad.name << " went through";
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(bad.says), std::string::npos)
          << bad.name << ": " << error.what();
      EXPECT_NE(std::string(error.what()).find(hf.folder.path().string()), std::string::npos) << error.what();
      EXPECT_FALSE(error.mend().empty()) << error.what();
    }
  }
}

TEST(HuggingFace, BrokenJsonNamesFileAndByte) {
  for (const char* text : {"", "{", "{\"a\": 1e999}", "\xff"}) {
    HfFolder hf;
    hf.write();
    write_file(hf.folder / "config.json", text);
    try {
      open_model(hf.folder.path());
      ADD_FAILURE() << text;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("config.json"), std::string::npos) << error.what();
    }
  }
}

TEST(HuggingFace, TruncatedAndLyingWeightsAreOneClearError) {
  HfFolder hf;
  hf.write();
  const std::string whole = read_file(hf.folder / "model.safetensors");
  std::vector<std::string> bad = {HfFolder::with_length("{") + "x", HfFolder::with_length("[]"),
                                  std::string(8, '\xff') + "{}", whole + "x"};
  for (std::size_t size = 0; size < whole.size(); size += 37) bad.push_back(whole.substr(0, size));
  for (const std::string& content : bad) {
    write_file(hf.folder / "model.safetensors", content);
    EXPECT_THROW(open_model(hf.folder.path()), InputError) << content.size();
  }
}

}  // namespace
}  // namespace stepdown::formats
