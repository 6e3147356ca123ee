#include "operator/kube/object.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::kube {
namespace {

using nlohmann::json;

TEST(ValueAt, ReadsAnyShapeWithoutThrowing) {
  const json object = json::parse(R"({"a": {"b/c": [1, {"d": "x"}], "~": true}, "n": 5})");
  struct Case {
    std::string_view pointer;
    json expected;
  };
  for (const Case& c : {Case{"/a/b~1c/1/d", "x"}, Case{"/a/b~1c/0", 1}, Case{"/a/b~1c/7", nullptr},
                        Case{"/a/b~1c/-1", nullptr}, Case{"/a/b~1c/x", nullptr}, Case{"/a/~0", true},
                        Case{"/n/below", nullptr}, Case{"/none", nullptr}, Case{"", object}}) {
    EXPECT_EQ(value_at(object, c.pointer), c.expected) << c.pointer;
  }
  EXPECT_EQ(text_at(object, "/n"), "");
  EXPECT_EQ(integer_at(object, "/n", -1), 5);
  EXPECT_EQ(integer_at(object, "/a", -1), -1);
}

TEST(Object, MetadataOfStrangeObjectsIsEmpty) {
  for (const char* text :
       {"null", "5", "[]", "{}", R"({"metadata": 3})", R"({"metadata": {"name": 4, "labels": []}})"}) {
    const json object = json::parse(text);
    EXPECT_EQ(key_of(object), ObjectKey{}) << text;
    EXPECT_EQ(label_of(object, "a"), "") << text;
    EXPECT_EQ(controller_uid_of(object), "") << text;
  }
}

TEST(Object, ControllerReferenceIsFoundAgain) {
  const json owner = json::parse(R"({"apiVersion": "batch/v1", "kind": "Job",
      "metadata": {"name": "j", "namespace": "n", "uid": "u-1"}})");
  const json owned = {{"metadata", {{"ownerReferences", {controller_reference(owner)}}}}};
  EXPECT_EQ(controller_uid_of(owned), "u-1");
  EXPECT_EQ(owned["metadata"]["ownerReferences"][0]["kind"], "Job");
}

}  // namespace
}  // namespace stepdown::kube
