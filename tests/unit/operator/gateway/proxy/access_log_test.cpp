#include "operator/gateway/proxy/access_log.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::gateway {
namespace {

AccessRecord good() {
  AccessRecord record;
  record.request_id = "req-1";
  record.trace_id = "0af7651916cd43dd8448eb211c80319c";
  record.model = "m";
  record.arm = Arm::kCandidate;
  record.revision = "sha256:c";
  record.status = 200;
  record.ms = 12.5;
  record.hops = {{"sha256:c", "b7ad6b7169203331"}};
  return record;
}

TEST(AccessLogTest, SampledLogsEveryProblemAndFewOfTheRest) {
  AccessRecord failed = good();
  failed.fault = Fault::kLooping;
  AccessRecord retried = good();
  retried.retried = "low_confidence";
  AccessRecord broken = good();
  broken.status = 502;
  AccessRecord overloaded = good();
  overloaded.status = 429;
  AccessRecord traced = good();
  traced.sampled = true;
  for (const AccessRecord& record : {failed, retried, broken, traced}) {
    EXPECT_TRUE(wanted(record, AccessLog::kSampled, 0.999));
    EXPECT_FALSE(wanted(record, AccessLog::kOff, 0));
  }
  for (const AccessRecord& record : {good(), overloaded}) {
    EXPECT_FALSE(wanted(record, AccessLog::kSampled, 0.5));
    EXPECT_TRUE(wanted(record, AccessLog::kSampled, 0.005));
    EXPECT_TRUE(wanted(record, AccessLog::kAll, 0.999));
  }
}

TEST(AccessLogTest, SaysWhoAnsweredAndHowItWasJudged) {
  AccessRecord record = good();
  record.arm = Arm::kFp16;
  record.revision = "sha256:b";
  record.fault = Fault::kSchema;
  record.retried = "schema_violation";
  record.hops.push_back({"sha256:b", "00f067aa0ba902b7"});
  EXPECT_EQ(to_json(record), nlohmann::json::parse(R"({
    "requestId": "req-1", "traceId": "0af7651916cd43dd8448eb211c80319c", "model": "m", "route": "fp16",
    "revision": "sha256:b", "verdict": "schema_violation", "status": 200, "stream": false, "ms": 12.5,
    "retried": "schema_violation", "escalated": false, "shadow": false,
    "hops": [{"revision": "sha256:c", "spanId": "b7ad6b7169203331"},
             {"revision": "sha256:b", "spanId": "00f067aa0ba902b7"}]})"));
  AccessRecord gone = good();
  gone.status = 499;
  EXPECT_EQ(to_json(gone)["verdict"], "none");
}

TEST(AccessLogTest, HasThreeNames) {
  EXPECT_EQ(access_log_named("off"), AccessLog::kOff);
  EXPECT_EQ(access_log_named("sampled"), AccessLog::kSampled);
  EXPECT_EQ(access_log_named("all"), AccessLog::kAll);
  EXPECT_FALSE(access_log_named("loud"));
}

}  // namespace
}  // namespace stepdown::gateway
