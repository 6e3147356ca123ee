#include "engine/tokenizer/byte_alphabet.h"

#include <gtest/gtest.h>

namespace stepdown::tokenizer {
namespace {

TEST(ByteAlphabet, CoversEveryByte) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    EXPECT_EQ(from_visible(to_visible(one)), one);
  }
  EXPECT_EQ(to_visible(" \n"), "ĠĊ");
  EXPECT_EQ(to_visible("é"), "Ã©");
}

TEST(ByteAlphabet, RefusesOtherCharacters) {
  EXPECT_FALSE(from_visible("日"));
  EXPECT_FALSE(from_visible(" "));
  EXPECT_FALSE(from_visible("\xff"));
}

}  // namespace
}  // namespace stepdown::tokenizer
