#include "operator/local/node/pod_network.h"

#include <optional>

#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"

namespace stepdown::local {
namespace {

class PodNetworkTest : public testing::Test {
 protected:
  std::filesystem::path folder(const std::string& name) const {
    const std::filesystem::path made = root_ / name;
    std::filesystem::create_directories(made);
    return made;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

 private:
  std::filesystem::path root_ =
      std::filesystem::path(testing::TempDir()) / ("pod-network-" + std::to_string(::getpid()));
};

TEST_F(PodNetworkTest, AgentsThatLiveAtOnceHaveNetworksOfTheirOwn) {
  const PodNetwork first(folder("first"));
  const std::filesystem::path second = folder("second");
  write_file_atomically(second / "pod-network", std::to_string(first.number()));
  EXPECT_EQ(PodNetwork(second).number(), first.number());  // its pods have those addresses

  std::filesystem::remove(second / "pod-network");
  const PodNetwork other(second);
  const PodNetwork third(folder("third"));
  EXPECT_NE(other.number(), first.number());
  EXPECT_NE(third.number(), first.number());
  EXPECT_NE(third.number(), other.number());
}

TEST_F(PodNetworkTest, AnAgentThatComesBackHasTheNetworkOfItsPods) {
  const std::filesystem::path dir = folder("agent");
  std::optional<PodNetwork> agent(std::in_place, dir);
  const int number = agent->number();
  agent.reset();
  EXPECT_EQ(PodNetwork(dir).number(), number);
}

TEST_F(PodNetworkTest, ADamagedFileGivesANetworkAllTheSame) {
  for (const char* text : {"", "x", "-4", "99999999999999999999", "300"}) {
    const std::filesystem::path dir = folder("damaged");
    write_file_atomically(dir / "pod-network", text);
    const int number = PodNetwork(dir).number();
    EXPECT_TRUE(number >= 97 && number <= 126) << text;
  }
}

}  // namespace
}  // namespace stepdown::local
