#include "operator/cli/text_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stepdown::cli {
namespace {

using ::testing::ElementsAre;

TEST(Wrapped, BreaksAtSpacesAndKeepsTheIndent) {
  EXPECT_THAT(wrapped("  one two three four", 11, "    "), ElementsAre("  one two", "    three", "    four"));
  EXPECT_THAT(wrapped("a-word-that-is-too-long x", 10, ""), ElementsAre("a-word-th…", "x"));
  EXPECT_TRUE(wrapped("", 10, "").empty());
}

TEST(Cut, CountsCharactersRatherThanBytes) {
  EXPECT_EQ(cut("████", 4), "████");
  EXPECT_EQ(cut("█████", 4), "███…");
}

TEST(Table, AlignsColumnsAndEndsLinesWithoutSpaces) {
  EXPECT_THAT(table({{"a", "bb"}, {"ccc", ""}}), ElementsAre("  a    bb", "  ccc"));
}

TEST(Number, IsShort) {
  EXPECT_EQ(number(0.123456), "0.123");
  EXPECT_EQ(number(1234.5), "1234");
  EXPECT_EQ(mebibytes(0), "-");
  EXPECT_EQ(mebibytes(3 << 20), "3 MiB");
}

}  // namespace
}  // namespace stepdown::cli
