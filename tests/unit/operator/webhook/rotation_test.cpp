#include "operator/webhook/rotation.h"

#include <gtest/gtest.h>

namespace stepdown::webhook {
namespace {

using namespace std::chrono_literals;

const pki::Time kStart = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
const std::vector<std::string> kNames = {"DNS:hook.ns.svc"};
const Lifetimes kLifetimes{.serving = 90h, .authority = 365h, .announcement = 1h};

Certificates at_start() {
  return renewed(std::nullopt, kNames, kLifetimes, kStart).value();
}

/// A handshake succeeds with any trust announced in the last hour.
bool serves(const Certificates& served, const Certificates& announced) {
  return pki::issued_by(served.serving.certificate, announced.authority.certificate) ||
         (!announced.previous_authority.empty() &&
          pki::issued_by(served.serving.certificate, announced.previous_authority));
}

TEST(Rotation, BeginsWithItsOwnAuthority) {
  const Certificates made = at_start();
  EXPECT_TRUE(pki::issued_by(made.serving.certificate, made.authority.certificate));
  EXPECT_TRUE(made.previous_authority.empty());
  EXPECT_EQ(pki::validity_of(made.serving.certificate).to, kStart + 90h);
}

TEST(Rotation, LeavesGoodCertificatesAlone) {
  EXPECT_EQ(renewed(at_start(), kNames, kLifetimes, kStart + 59h), std::nullopt);
}

TEST(Rotation, RenewsServingAfterTwoThirdsByTheSameAuthority) {
  const Certificates made = at_start();
  const Certificates next = renewed(made, kNames, kLifetimes, kStart + 61h).value();
  EXPECT_EQ(next.authority, made.authority);
  EXPECT_NE(next.serving, made.serving);
  EXPECT_EQ(pki::validity_of(next.serving.certificate).to, kStart + 151h);
}

TEST(Rotation, AnnouncesANewAuthorityBeforeItSigns) {
  Certificates now = at_start();
  std::vector<std::pair<pki::Time, Certificates>> history = {{kStart, now}};
  int authorities = 1, handshakes = 0;
  for (pki::Time time = kStart; time < kStart + 1000h; time += 30min) {
    if (auto next = renewed(now, kNames, kLifetimes, time)) {
      if (next->authority != now.authority) {
        ++authorities;
        EXPECT_EQ(next->serving, now.serving) << "a new authority signs at once";
        EXPECT_EQ(next->previous_authority, now.authority.certificate);
      }
      now = *next;
      history.emplace_back(time, now);
    }
    EXPECT_LT(time, pki::validity_of(now.serving.certificate).to);
    // Whoever learned of the trust an hour ago, and nothing since, still verifies what is served now.
    for (auto known = history.rbegin(); known != history.rend(); ++known) {
      if (known->first > time - kLifetimes.announcement && known->first != kStart) continue;
      EXPECT_TRUE(serves(now, known->second)) << "at hour " << (time - kStart) / 1h;
      ++handshakes;
      break;
    }
  }
  EXPECT_EQ(authorities, 5);  // one each 243.33 h
  EXPECT_EQ(handshakes, 2000);
}

TEST(Rotation, DropsAnAuthorityThatIsOver) {
  Certificates now = at_start();
  bool had_previous = false;
  for (pki::Time time = kStart; time < kStart + 370h; time += 1h) {
    now = renewed(now, kNames, kLifetimes, time).value_or(now);
    had_previous = had_previous || !now.previous_authority.empty();
  }
  EXPECT_TRUE(had_previous);
  EXPECT_TRUE(now.previous_authority.empty());
}

TEST(Rotation, StartsAnewFromAnythingBroken) {
  const Certificates good = at_start(), other = at_start();
  std::vector<Certificates> broken(6, good);
  broken[0].authority.key = other.authority.key;
  broken[1].serving.key = "";
  broken[2].serving = other.serving;  // of a stranger
  broken[3].authority.certificate = "-----BEGIN CERTIFICATE-----";
  broken[4].serving.certificate = "x";
  broken[5].previous_authority = "x", broken[5].serving = other.serving;
  for (const Certificates& each : broken) {
    const auto next = renewed(each, kNames, kLifetimes, kStart + 1h);
    ASSERT_TRUE(next);
    EXPECT_NE(next->authority, each.authority);
    EXPECT_TRUE(serves(*next, *next));
  }
  EXPECT_TRUE(renewed(good, kNames, kLifetimes, kStart + 91h)) << "expired while nobody looked";
}

}  // namespace
}  // namespace stepdown::webhook
