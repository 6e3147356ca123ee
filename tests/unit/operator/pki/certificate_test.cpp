#include "operator/pki/certificate.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace stepdown::pki {
namespace {

using namespace std::chrono_literals;

const Time kNow = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
const Validity kYear{kNow, kNow + 8760h};

TEST(Certificate, IsKnownAsIssuedByItsAuthorityAlone) {
  const KeyPair one = make_authority("one", kYear), other = make_authority("one", kYear);
  const KeyPair serving = issue(one, {.common_name = "x", .names = {"DNS:x.y.svc", "IP:127.0.0.1"}}, kYear);
  EXPECT_TRUE(issued_by(serving.certificate, one.certificate));
  EXPECT_FALSE(issued_by(serving.certificate, other.certificate));
  EXPECT_TRUE(issued_by(one.certificate, one.certificate));
}

TEST(Certificate, TellsItsValidity) {
  const KeyPair pair = make_authority("one", kYear);
  EXPECT_EQ(validity_of(pair.certificate).from, kNow);
  EXPECT_EQ(validity_of(pair.certificate).to, kNow + 8760h);
}

TEST(Certificate, KnowsItsOwnKey) {
  const KeyPair one = make_authority("one", kYear), other = make_authority("other", kYear);
  EXPECT_TRUE(belong_together(one));
  EXPECT_FALSE(belong_together({one.certificate, other.key}));
  EXPECT_FALSE(belong_together({"", ""}));
}

TEST(Certificate, RefusesWhatIsNone) {
  EXPECT_THROW(validity_of("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), InputError);
  EXPECT_THROW(issued_by("", ""), InputError);
  EXPECT_THROW(issue({"", ""}, {.common_name = "x"}, kYear), InputError);
}

TEST(Certificate, RefusesNamesThatOpensslCannotRead) {
  EXPECT_THROW(
      issue(make_authority("one", kYear), {.common_name = "x", .names = {"IP:not-an-address"}}, kYear),
      Error);
}

}  // namespace
}  // namespace stepdown::pki
