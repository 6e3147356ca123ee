#include "operator/api/condition.h"

#include <gtest/gtest.h>

namespace stepdown::api {
namespace {

TEST(SetCondition, MovesTheTimeOnlyWithTheStatus) {
  std::vector<Condition> conditions;
  set_condition(conditions, {"Ready", "False", "Starting", "", "ignored", 1}, "t1");
  set_condition(conditions, {"Ready", "False", "Evaluating", "m", "", 2}, "t2");
  EXPECT_EQ(conditions, (std::vector<Condition>{{"Ready", "False", "Evaluating", "m", "t1", 2}}));
  set_condition(conditions, {"Ready", "True", "Promoted", "", "", 2}, "t3");
  EXPECT_EQ(conditions[0].last_transition_time, "t3");
  set_condition(conditions, {"Stalled", "False", "", "", "", 2}, "t3");
  EXPECT_EQ(conditions.size(), 2u);
}

TEST(KStatus, ReadsConditionsAsKstatusDoes) {
  const std::vector<Condition> ready = {{"Ready", "True", "", "", "", 0}};
  const std::vector<Condition> stalled = {{"Ready", "False", "", "", "", 0},
                                          {"Stalled", "True", "", "", "", 0}};
  const std::vector<Condition> working = {{"Reconciling", "True", "", "", "", 0},
                                          {"Ready", "True", "", "", "", 0}};
  EXPECT_EQ(kstatus(ready, 2, 2, false), KStatus::kCurrent);
  EXPECT_EQ(kstatus(ready, 3, 2, false), KStatus::kInProgress);
  EXPECT_EQ(kstatus(stalled, 2, 2, false), KStatus::kFailed);
  EXPECT_EQ(kstatus(working, 2, 2, false), KStatus::kInProgress);
  EXPECT_EQ(kstatus(ready, 2, 2, true), KStatus::kTerminating);
  EXPECT_EQ(kstatus({}, 1, 1, false), KStatus::kInProgress);
}

}  // namespace
}  // namespace stepdown::api
