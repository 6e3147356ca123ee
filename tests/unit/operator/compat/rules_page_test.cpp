#include "operator/compat/rules_page.h"

#include <gtest/gtest.h>

#include "engine/base/atomic_file.h"

namespace stepdown::compat {
namespace {

TEST(RulesPage, IsTheCommittedOne) {
  EXPECT_EQ(read_file(std::string(STEPDOWN_SOURCE_DIR) + "/docs/rules.md"), rules_page())
      << "out of date: kubectl-stepdown rules > docs/rules.md";
}

}  // namespace
}  // namespace stepdown::compat
