#include "operator/controller/ownership.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::controller {
namespace {

using nlohmann::json;

constexpr const char* kLabels = R"({"stepdown.dev/model":"m","app.kubernetes.io/managed-by":"stepdown"})";

json object(const char* name, bool labelled, const char* owner_uid) {
  json out = {{"metadata", {{"name", name}, {"namespace", "n"}}}};
  if (labelled) out["metadata"]["labels"] = json::parse(kLabels);
  if (owner_uid != nullptr) {
    out["metadata"]["ownerReferences"] = {
        {{"kind", "QuantizedModel"}, {"name", "m"}, {"uid", owner_uid}, {"controller", true}}};
  }
  return out;
}

struct Case {
  const char* kind;
  const char* name;
  bool labelled;
  const char* owner;
  bool ours;
};

TEST(BelongsTo, AsksForTheControllerReferenceAndTrustsNoLabel) {
  const Case cases[] = {
      {"Service", "m", true, "uid", true},
      {"Service", "m", false, "uid", true},
      {"Service", "m", true, nullptr, false},
      {"Service", "m", true, "of an earlier m", false},
      {"Service", "m", false, nullptr, false},
      {"Deployment", "m-fp16", true, nullptr, false},
      {"PersistentVolumeClaim", "m-artifacts", true, nullptr, true},
      {"PersistentVolumeClaim", "m-artifacts", false, nullptr, false},
      {"PersistentVolumeClaim", "precious", true, nullptr, false},
      {"QuantRevision", "m-444444444444", true, nullptr, true},
      {"QuantRevision", "m-444444444444", false, nullptr, false},
      {"QuantRevision", "m-444444444444", true, "another", false},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(belongs_to(test.kind, object(test.name, test.labelled, test.owner), {"n", "m"}, "uid"),
              test.ours)
        << test.kind << " " << test.name << " labelled " << test.labelled;
  }
}

TEST(TakenMessage, NamesTheObjectItsOwnerAndTheWayOut) {
  EXPECT_EQ(
      taken_message("Service", object("m", false, nullptr)),
      "Service m exists and is not this model's: remove it (kubectl delete service m -n n), or name the "
      "QuantizedModel otherwise");
  EXPECT_NE(taken_message("Service", object("m", false, "u")).find("is of QuantizedModel m"),
            std::string::npos);
  EXPECT_NE(taken_message("PersistentVolumeClaim", object("m-artifacts", false, nullptr)).find("claimName"),
            std::string::npos);
}

}  // namespace
}  // namespace stepdown::controller
