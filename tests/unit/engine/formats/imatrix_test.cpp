#include <cmath>
#include <limits>

#include "tests/unit/engine/formats/temp_folder.h"
#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/formats/imatrix_file.h"

namespace stepdown::formats {
namespace {

template <typename T>
std::string bytes_of(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

/// llama-imatrix's older form: one entry of two columns, means times three calls.
std::string dat_file(float second) {
  const std::string name = "blk.0.attn_q.weight";
  return bytes_of(1) + bytes_of(static_cast<int>(name.size())) + name + bytes_of(3) + bytes_of(2) +
         bytes_of(6.0f) + bytes_of(second) + bytes_of(7) + bytes_of(4) + "text";
}

TEST(Imatrix, ComesBackAsItWasWritten) {
  const TempFolder folder;
  Imatrix imatrix{{{"blk.0.ffn_down.weight", {0.5f, 0.0f, 2.0f}}}, "prompts", 4};
  write_imatrix(folder / "m.gguf", imatrix, 2048, 512);
  const Imatrix read = read_imatrix(folder / "m.gguf");
  EXPECT_EQ(read.columns, imatrix.columns);
  EXPECT_EQ(read.chunks, 4u);
  EXPECT_EQ(read.dataset, "prompts");
}

TEST(Imatrix, OfOneThatCannotBeWrittenNothingIsLeft) {
  const TempFolder folder;
  std::filesystem::create_directories(folder / "m.gguf" / "in the way");
  const Imatrix imatrix{{{"blk.0.ffn_down.weight", {0.5f}}}, "prompts", 4};
  EXPECT_ANY_THROW(write_imatrix(folder / "m.gguf", imatrix, 2048, 512));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Imatrix, ExpertsKeepTheirOwnMeans) {
  const TempFolder folder;
  const std::string name = "blk.0.ffn_down_exps.weight";
  Imatrix imatrix{{{name, {0.5f, 4.0f, 3.0f, 7.0f, 1.0f, 1.0f}}}, "prompts", 4};
  imatrix.expert_tokens[name] = {2.0f, 5.0f, 0.0f};
  write_imatrix(folder / "m.gguf", imatrix, 2048, 512);
  const Imatrix read = read_imatrix(folder / "m.gguf");
  EXPECT_EQ(read.columns, imatrix.columns) << "an expert that nothing came to counts its columns alike";
  EXPECT_EQ(read.expert_tokens, imatrix.expert_tokens);
}

TEST(Imatrix, ReadsTheOlderForm) {
  const TempFolder folder;
  write_file_atomically(folder / "m.dat", dat_file(9.0f));
  const Imatrix read = read_imatrix(folder / "m.dat");
  EXPECT_EQ(read.columns.at("blk.0.attn_q.weight"), (std::vector<float>{2.0f, 3.0f}));
  EXPECT_EQ(read.chunks, 7u);
  EXPECT_EQ(read.dataset, "text");
}

TEST(Imatrix, RefusesDamagedFiles) {
  const TempFolder folder;
  const std::string whole = dat_file(9.0f);
  for (const std::string& bytes :
       {std::string(), std::string("\0\0\0\0", 4), whole.substr(0, whole.size() / 2), std::string(64, '\xff'),
        dat_file(-1.0f), dat_file(1e20f), dat_file(std::numeric_limits<float>::quiet_NaN())}) {
    write_file_atomically(folder / "bad.dat", bytes);
    EXPECT_THROW(read_imatrix(folder / "bad.dat"), InputError) << bytes.size();
  }
}

}  // namespace
}  // namespace stepdown::formats
