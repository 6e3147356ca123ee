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

TEST(OwnedByApply, WhatWasWrittenByCreatingIsAppliedFromNowOn) {
  const json created = json::parse(R"([
      {"manager": "stepdown-operator", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
      {"manager": "stepdown-operator", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {}}},
      {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}}])");
  const auto owned = owned_by_apply(created, "stepdown-operator");
  json wanted = created;
  wanted[0]["operation"] = "Apply";
  ASSERT_TRUE(owned);
  EXPECT_EQ(*owned, wanted);
  EXPECT_FALSE(owned_by_apply(*owned, "stepdown-operator"));
  EXPECT_FALSE(owned_by_apply(created, "somebody"));
  EXPECT_FALSE(owned_by_apply(json(), "stepdown-operator"));
}

TEST(OwnedByApply, FieldsOfBothAreTheUnion) {
  const auto owned = owned_by_apply(json::parse(R"([
      {"manager": "m", "operation": "Apply", "fieldsV1": {"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}}},
      {"manager": "m", "operation": "Update", "fieldsV1": {"f:spec": {"f:b": {"f:d": {}}, "f:e": {}}}}])"),
                                    "m");
  ASSERT_TRUE(owned);
  EXPECT_EQ(*owned, json::parse(R"([{"manager": "m", "operation": "Apply",
      "fieldsV1": {"f:spec": {"f:a": {}, "f:b": {"f:c": {}, "f:d": {}}, "f:e": {}}}}])"));
}

}  // namespace
}  // namespace stepdown::controller
