#include "operator/kube/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stepdown::kube {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(JsonText, ValuesEndWhereTheyEnd) {
  const auto value = [](std::string_view text) { return text.substr(0, value_end(text, 0)); };
  EXPECT_EQ(value(R"({"a":[1,{"b":"}]"}],"c":"\"}"},7)"), R"({"a":[1,{"b":"}]"}],"c":"\"}"})");
  EXPECT_EQ(value(R"("a\\",1)"), R"("a\\")");
  EXPECT_EQ(value("-1.5e3,2"), "-1.5e3");
  EXPECT_EQ(value("true}"), "true");
  EXPECT_EQ(value("null"), "null");
  for (const char* cut : {R"({"a":)", R"([1,[2])", R"("ab)", R"("ab\)", R"("ab\")"}) {
    EXPECT_EQ(value_end(cut, 0), std::string_view::npos) << cut;
  }
}

TEST(JsonText, ManagedFieldsAreLeftOut) {
  const json object = {
      {"metadata",
       {{"annotations", {{"text", R"(["managedFields":[{"}]"}])"}, {"managedFields", "a text"}}},
        {"managedFields", {{{"manager", "a]"}, {"fieldsV1", {{"f:metadata", {{"f:x", "\"]"}}}}}}}},
        {"name", "n"}}},
      {"spec", {{"more", {1, 2}}}}};
  json wanted = object;
  wanted["metadata"]["managedFields"] = json::array();
  EXPECT_EQ(json::parse(without_managed_fields(object.dump())), wanted);
  const std::string two = "[" + object.dump() + "," + object.dump() + "]";
  EXPECT_EQ(json::parse(without_managed_fields(two)), (json{wanted, wanted}));
  for (const char* same :
       {"", "{}", R"({"managedFields":)", R"({"managedFields":[{"a":)", R"({"managedFields":null})"}) {
    EXPECT_EQ(without_managed_fields(same), same);
  }
}

TEST(JsonText, AListInTwoParts) {
  const auto elements = [](std::string_view array) {
    std::vector<std::string> out;
    EXPECT_TRUE(for_each_element(array, [&](std::string_view each) { out.emplace_back(each); }));
    return out;
  };
  const std::string text =
      R"( {"kind":"PodList", "metadata" : {"items":[1]}, "items": [ {"a":"],"} ,{"b":[2]} ], "apiVersion":"v1"})";
  const ListText list = split_list(text);
  EXPECT_THAT(elements(list.items), ElementsAre(R"({"a":"],"})", R"({"b":[2]})"));
  EXPECT_EQ(json::parse(list.rest), (json{{"kind", "PodList"},
                                          {"metadata", {{"items", {1}}}},
                                          {"items", json::array()},
                                          {"apiVersion", "v1"}}));
  EXPECT_THAT(elements(split_list(R"({"items":[]})").items), IsEmpty());
  EXPECT_THAT(elements(split_list(R"({"kind":"Status"})").items), IsEmpty());
  EXPECT_EQ(split_list(R"({"kind":"Status"})").rest, R"({"kind":"Status"})");
  EXPECT_EQ(json::parse(split_list(R"({"items":null})").rest), (json{{"items", nullptr}}));
  for (const char* cut : {"", "[]", R"({"items":[1,2)", R"({"items)", R"({"a" 1})"}) {
    EXPECT_TRUE(json::parse(split_list(cut).rest, nullptr, false).is_discarded()) << cut;
  }
  for (const char* bad : {"[1,", "[1 2]", "[,1]", "[1}"}) {
    EXPECT_FALSE(for_each_element(bad, [](std::string_view) {})) << bad;
  }
}

}  // namespace
}  // namespace stepdown::kube
