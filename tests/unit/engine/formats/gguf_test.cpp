#include <cstring>
#include <filesystem>
#include <functional>

#include "tests/unit/engine/formats/temp_folder.h"
#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/formats/gguf_model.h"
#include "engine/formats/gguf_writer.h"
#include "engine/formats/hf_tensors.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

ModelConfig small_config() {
  ModelConfig config;
  config.architecture = "llama";
  config.name = "tiny";
  config.vocab = 5;
  config.layers = 1;
  config.hidden = 32;
  config.feed_forward = 64;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 8;
  config.rope_dim = 8;
  config.context_length = 128;
  config.rope_theta = 50000.0f;
  config.tied_embeddings = true;
  return config;
}

TokenizerData small_tokenizer() {
  TokenizerData data;
  data.pre = "smollm";
  data.tokens = {"<|endoftext|>", "<|im_end|>", "a", "b", "ab"};
  data.types.assign(5, TokenizerData::TokenType::kNormal);
  data.types[0] = data.types[1] = TokenizerData::TokenType::kControl;
  data.merges = {"a b"};
  data.bos = 0;
  data.eos = 1;
  data.chat_template = "{{ messages }}";
  return data;
}

class GgufTest : public testing::Test {
 protected:
  void write_small() {
    std::vector<GgufTensor> tensors;
    for (const HfTensor& tensor : hf_tensors(small_config())) {
      tensors.push_back({tensor.gguf, tensor.shape.size() == 1 ? DType::kF32 : DType::kQ8_0, tensor.shape});
    }
    ASSERT_EQ(tensors.front().name, "token_embd.weight");
    ASSERT_EQ(tensors.back().name, "output_norm.weight");
    GgufWriter writer(path_, gguf_from_model(small_config(), small_tokenizer()), tensors);
    std::vector<std::byte> data(5 * 34, std::byte{7});
    writer.write(std::span(data).first(40));
    writer.write(std::span(data).subspan(40));
    for (std::size_t i = 1; i < tensors.size(); ++i)
      writer.write(std::vector<std::byte>(tensors[i].bytes(), std::byte{1}));
    digest_ = writer.finish();
  }

  /// The one-line error of opening the file with `content`.
  std::string error_of(const std::string& content) {
    write_file(path_, content);
    try {
      open_model(path_);
    } catch (const InputError& error) {
      EXPECT_FALSE(error.mend().empty()) << error.what();
      return error.what();
    }
    return "opened without complaint";
  }

  TempFolder folder_;
  fs::path path_ = folder_ / "model.gguf";
  std::string digest_;
};

TEST_F(GgufTest, WhatIsWrittenIsReadBack) {
  write_small();
  EXPECT_EQ(digest_, sha256_file(path_));
  const auto model = open_model(folder_.path());
  const ModelConfig& config = model->config();
  EXPECT_EQ(config.architecture, "llama");
  EXPECT_EQ(config.vocab, 5);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.head_dim, 8);
  EXPECT_FLOAT_EQ(config.rope_theta, 50000.0f);
  EXPECT_TRUE(config.tied_embeddings);
  const TokenizerData& tokenizer = model->tokenizer();
  EXPECT_EQ(tokenizer.tokens, small_tokenizer().tokens);
  EXPECT_EQ(tokenizer.merges, small_tokenizer().merges);
  EXPECT_EQ(tokenizer.eos, 1);
  EXPECT_EQ(tokenizer.end_of_turn, std::vector<std::int32_t>{0});
  EXPECT_EQ(tokenizer.chat_template, "{{ messages }}");
  const TensorView* embeddings = model->find("token_embd.weight");
  ASSERT_NE(embeddings, nullptr);
  EXPECT_EQ(embeddings->shape, (std::vector<std::int64_t>{5, 32}));
  EXPECT_EQ(embeddings->data.size(), 5u * 34);
  EXPECT_EQ(embeddings->data[100], std::byte{7});
  EXPECT_EQ(model->find("output_norm.weight")->data[127], std::byte{1});
  EXPECT_EQ(model->find("absent"), nullptr);
}

TEST_F(GgufTest, EveryTruncationIsOneClearError) {
  write_small();
  const std::string whole = read_file(path_);
  for (std::size_t size = 0; size < whole.size(); size += size < 200 ? 1 : 13) {
    const std::string error = error_of(whole.substr(0, size));
    EXPECT_NE(error.find(path_.string()), std::string::npos) << size << ": " << error;
  }
}

TEST_F(GgufTest, LiesAreNamedWithTheirPlace) {
  write_small();
  const std::string whole = read_file(path_);
  const auto patched = [&](std::string_view after, std::size_t skip, std::uint64_t value, std::size_t width) {
    std::string bytes = whole;
    const std::size_t at = bytes.find(after);
    EXPECT_NE(at, std::string::npos);
    std::memcpy(bytes.data() + at + after.size() + skip, &value, width);
    return bytes;
  };
  const struct {
    const char* name;
    std::string content;
    const char* says;
  } cases[] = {
      {"magic", "GGML" + whole.substr(4), "not a GGUF file"},
      {"version", patched("GGUF", 0, 9, 4), "version 9"},
      {"tensor count", patched("GGUF", 4, ~0ULL, 8), "dimensions"},
      {"key count", patched("GGUF", 12, ~0ULL, 8), "key"},
      {"string length", patched("general.name", 4, ~0ULL, 8), "general.name"},
      {"array length", patched("tokenizer.ggml.tokens", 8, ~0ULL >> 1, 8), "tokenizer.ggml.tokens"},
      {"value type", patched("general.name", 0, 99, 4), "unknown value type 99"},
      {"dimensions", patched("token_embd.weight", 0, 5, 4), "5 dimensions"},
      {"dimension", patched("token_embd.weight", 4, 0, 8), "dimension of 0"},
      {"columns", patched("token_embd.weight", 4, 33, 8), "not whole blocks of Q8_0"},
      {"rows", patched("token_embd.weight", 12, 400000, 8), "pass the end of the file"},
      {"type", patched("token_embd.weight", 20, 77, 4), "ggml type 77"},
      {"offset", patched("token_embd.weight", 24, ~0ULL << 5, 8), "pass the end of the file"},
      {"crooked offset", patched("token_embd.weight", 24, 5, 8), "not a multiple of the alignment"},
      {"zero heads", patched("llama.attention.head_count", 4, 0, 4), "llama.attention.head_count"},
      {"bos", patched("tokenizer.ggml.bos_token_id", 4, 77, 4), "is 77, but there are 5 tokens"},
  };
  for (const auto& lie : cases) {
    const std::string error = error_of(lie.content);
    EXPECT_NE(error.find(lie.says), std::string::npos) << lie.name << ": " << error;
    EXPECT_NE(error.find(path_.string()), std::string::npos) << lie.name << ": " << error;
  }
}

TEST_F(GgufTest, WriterRefusesTooMuchAndTooLittle) {
  GgufWriter writer(path_, {}, {{"a", DType::kF32, {4}}, {"b", DType::kF32, {4}}});
  EXPECT_THROW(writer.write(std::vector<std::byte>(17)), Error);
  writer.write(std::vector<std::byte>(16));
  EXPECT_THROW(writer.finish(), Error);
}

/// Three tensors; the first `count` of them are written, each byte `fill` plus its tensor's number.
std::string write_some(const std::filesystem::path& path, std::size_t count, Existing existing,
                       const std::string& third = "c", std::size_t from = 0) {
  GgufWriter writer(path, {}, {{"a", DType::kF32, {4}}, {"b", DType::kF32, {5}}, {third, DType::kF32, {6}}},
                    existing);
  EXPECT_EQ(writer.whole_tensors(), from);
  for (std::size_t i = from; i < count; ++i)
    writer.write(std::vector<std::byte>(16 + 4 * i, static_cast<std::byte>(i + 1)));
  if (count < 3) {
    writer.write(std::vector<std::byte>(4));  // of the next one: lost
    return "";
  }
  return writer.finish();
}

TEST_F(GgufTest, AKilledWritersFileIsContinuedBehindItsLastWholeTensor) {
  const TempFolder folder;
  const std::filesystem::path note = folder / ".x.gguf.written";
  const std::string digest = write_some(folder / "whole.gguf", 3, Existing::kReplaced);
  const std::filesystem::path file = folder / "x.gguf";
  for (const std::size_t whole : {0U, 1U, 2U}) {
    write_some(file, whole, Existing::kContinued);
    EXPECT_EQ(std::filesystem::exists(note), whole > 0);
    EXPECT_EQ(write_some(file, 3, Existing::kContinued, "c", whole), digest);
    EXPECT_EQ(sha256_file(file), digest);
    EXPECT_FALSE(std::filesystem::exists(note));
    std::filesystem::remove(file);
  }
}

TEST_F(GgufTest, OnAFullDiskTheLastWholeNoteStays) {
  const TempFolder folder;
  const std::filesystem::path file = folder / "x.gguf";
  write_some(file, 1, Existing::kContinued);
  std::filesystem::create_symlink("/dev/full", folder / ".x.gguf.written.next");
  write_some(file, 2, Existing::kContinued, "c", 1);
  write_some(file, 2, Existing::kContinued, "c", 1);
}

TEST_F(GgufTest, AFileThatIsNotAsItsNoteSaysIsWrittenAnew) {
  const TempFolder folder;
  const std::filesystem::path file = folder / "x.gguf";
  const std::filesystem::path note = folder / ".x.gguf.written";
  const std::string digest = write_some(folder / "whole.gguf", 3, Existing::kReplaced);
  const auto damage = [&](const std::filesystem::path& path, const std::string& content) {
    write_some(file, 2, Existing::kContinued);
    write_file(path, content);
    EXPECT_EQ(write_some(file, 3, Existing::kContinued), digest) << path << content.size();
    std::filesystem::remove(file);
  };
  write_some(file, 2, Existing::kContinued);
  std::string flipped = read_file(file);
  const std::string told = read_file(note);
  std::filesystem::remove(file);
  flipped[flipped.size() - 60] ^= 1;
  damage(file, flipped);
  damage(file, flipped.substr(0, 100));
  damage(file, "");
  damage(note, "");
  damage(note, told.substr(0, 20));
  damage(note, R"({"tensors": 9, "bytes": 9, "sha256": ""})");
  damage(note, R"({"tensors": -1, "bytes": 9, "sha256": ""})");
  damage(note, "[1]");
  write_some(file, 2, Existing::kContinued);
  write_some(file, 3, Existing::kContinued, "another model's");
}

TEST(OpenModel, MissingAndEmptyPathsAreNamed) {
  EXPECT_THROW(open_model("/nonexistent/model"), InputError);
  const TempFolder empty;
  EXPECT_THROW(open_model(empty.path()), InputError);
}

}  // namespace
}  // namespace stepdown::formats
