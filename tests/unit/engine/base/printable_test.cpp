#include "engine/base/printable.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace stepdown {
namespace {

TEST(Printable, LeavesWordsOfAnyLanguageAsTheyAre) {
  EXPECT_EQ(printable("blk.0 größe 重み 👩‍🚀"), "blk.0 größe 重み 👩‍🚀");
}

TEST(Printable, HoldsNothingThatSteersATerminal) {
  EXPECT_EQ(printable("a\x1b[31m\nb\x7f"), "a [31m b ");
  EXPECT_EQ(printable("\x9b\x31m and \xc2\x9b\x31m"), "\\x9b1m and \\u009b1m")
      << "C1 introduces sequences too";
  EXPECT_EQ(printable("a\u202eb\u2028"), "a\\u202eb\\u2028");
  EXPECT_EQ(printable("\xc3"), "\\xc3") << "a character that is cut off";
}

TEST(Printable, KeepsBothEndsOfWhatIsLong) {
  const std::string name(1 << 20, 'n');
  EXPECT_EQ(printable("'" + name + "' has no columns", 40),
            "'nnnnnnnnnnnnnnnnnnn … (1048553 bytes) … nnnn' has no columns");
  EXPECT_EQ(printable("ääää", 5), "ä … (4 bytes) … ä") << "cut between characters";
}

TEST(Printable, IsWhatErrorsSay) {
  const InputError error("'\xff\x1b[2J" + std::string(100'000, 'x') + "' is not finite", "a.dat",
                         "make it anew");
  const std::string said = error.what();
  EXPECT_TRUE(said.starts_with("a.dat: '\\xff [2Jxxx")) << said;
  EXPECT_TRUE(said.ends_with("xxx' is not finite; make it anew")) << said;
  EXPECT_LT(said.size(), 3000U);
}

}  // namespace
}  // namespace stepdown
