#include "operator/controller/difference.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::controller {
namespace {

using nlohmann::json;

json desired() {
  return json::parse(R"({"metadata": {"name": "d", "annotations": {"stepdown.dev/applied-hash": "h"}},
    "spec": {"replicas": 2, "containers": [{"name": "c", "args": ["a"], "resources": {"requests": {"memory": "1024Mi", "cpu": 0.5}}}],
             "volumes": [{"name": "v", "emptyDir": {}}]}})");
}

struct DifferenceCase {
  const char* name;
  const char* pointer;
  const char* value;
  bool differs;
};

TEST(MustApply, SeesDriftInWhatItSetsAndNothingElse) {
  const DifferenceCase cases[] = {
      {"a default of the server", "/spec/strategy", R"({"type": "RollingUpdate"})", false},
      {"a default inside a list", "/spec/containers/0/imagePullPolicy", R"("Always")", false},
      {"a canonical quantity", "/spec/containers/0/resources/requests/memory", R"("1Gi")", false},
      {"a canonical amount", "/spec/containers/0/resources/requests/cpu", R"("500m")", false},
      {"another's limit", "/spec/containers/0/resources/limits", R"({"memory": "3Gi"})", false},
      {"less memory by hand", "/spec/containers/0/resources/requests/memory", R"("1Mi")", true},
      {"no request any more", "/spec/containers/0/resources", R"({"limits": {"cpu": "1"}})", true},
      {"a label of somebody else", "/metadata/labels", R"({"x": "y"})", false},
      {"scaled by hand", "/spec/replicas", "3", true},
      {"another argument", "/spec/containers/0/args/0", R"("b")", true},
      {"a container more", "/spec/containers/1", R"({"name": "sidecar"})", true},
      {"another hash", "/metadata/annotations/stepdown.dev~1applied-hash", R"("old")", true},
  };
  for (const DifferenceCase& test : cases) {
    json observed = desired();
    observed[json::json_pointer(test.pointer)] = json::parse(test.value);
    EXPECT_EQ(must_apply(desired(), observed), test.differs) << test.name;
  }
  EXPECT_FALSE(must_apply(desired(), desired()));
}

TEST(MustApply, TakesAnEmptyObjectThatTheServerDropsAsHeld) {
  json observed = desired();
  observed["spec"]["volumes"][0].erase("emptyDir");
  EXPECT_FALSE(must_apply(desired(), observed));
}

TEST(OwnStatus, LeavesOutWhatTheGatewayOwns) {
  const json status = json::parse(R"({"phase": "Canary", "verdict": {"epoch": 1},
    "conditions": [{"type": "Ready"}, {"type": "CanaryHealthy"}]})");
  EXPECT_EQ(own_status(status), json::parse(R"({"phase": "Canary", "conditions": [{"type": "Ready"}]})"));
}

}  // namespace
}  // namespace stepdown::controller
