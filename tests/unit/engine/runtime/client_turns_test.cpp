#include "engine/runtime/client_turns.h"

#include <gtest/gtest.h>

namespace stepdown::runtime {
namespace {

TEST(ClientTurns, WhoAsksForMuchStandsBehindItself) {
  ClientTurns turns(8);
  EXPECT_EQ(turns.next("much"), 0);
  EXPECT_EQ(turns.next("much"), 1);
  EXPECT_EQ(turns.next("much"), 2);
  EXPECT_EQ(turns.next("little"), 0);
  turns.serve(0);
  turns.serve(2);
  EXPECT_EQ(turns.next("late"), 2) << "nothing is saved up by staying away";
  EXPECT_EQ(turns.next("little"), 2);
  EXPECT_EQ(turns.next("much"), 3);
  turns.serve(1);
  EXPECT_EQ(turns.now(), 2);
}

TEST(ClientTurns, ManyClientsAreForgottenInTime) {
  ClientTurns turns(2);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(turns.next(std::to_string(i)), 0);
  turns.serve(5);
  EXPECT_EQ(turns.next("3"), 5);
}

TEST(ClientTurns, NobodyIsKeptForEverWhereEachAsksOnce) {
  ClientTurns turns(2);
  EXPECT_EQ(turns.next("first"), 0);
  for (int i = 0; i < 3; ++i) turns.next(std::to_string(i));
  turns.serve(0);
  EXPECT_EQ(turns.next("first"), 0) << "its turn had come, and others took its place";
}

}  // namespace
}  // namespace stepdown::runtime
