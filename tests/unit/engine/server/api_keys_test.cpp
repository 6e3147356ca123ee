#include "engine/server/api_keys.h"

#include <fstream>

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace stepdown::server {
namespace {

TEST(ApiKeys, AreReadByLineAndMatchedWhole) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "api-keys";
  std::ofstream(file) << "# the team's\nsecret-1\r\n\nsecret-22\n";
  const std::vector<std::string> keys = read_api_keys(file);
  EXPECT_EQ(keys, (std::vector<std::string>{"secret-1", "secret-22"}));
  EXPECT_TRUE(is_authorized("Bearer secret-1", keys));
  EXPECT_TRUE(is_authorized("Bearer secret-22", keys));
  for (const char* header :
       {"", "secret-1", "Bearer ", "Bearer secret-", "Bearer secret-11", "Basic secret-1"})
    EXPECT_FALSE(is_authorized(header, keys)) << header;
  std::ofstream(file) << "# none\n";
  EXPECT_THROW(read_api_keys(file), InputError);
}

}  // namespace
}  // namespace stepdown::server
