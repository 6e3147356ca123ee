// What the client and an API server agree on about single objects and lists.
#include "fixture.h"

namespace stepdown::kube::contract {
namespace {

class Objects : public Contract {};

TEST_F(Objects, CreateGetReplaceDelete) {
  const auto created = client().create(resources::kConfigMaps, config_map("a", {{"k", "1"}}));
  ASSERT_TRUE(created) << created.error().text();
  EXPECT_NE(uid_of(*created), "");
  EXPECT_NE(text_at(*created, "/metadata/creationTimestamp"), "");

  auto found = client().get(resources::kConfigMaps, {ns_name(), "a"});
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)["data"]["k"], "1");

  json changed = *found;
  changed["data"]["k"] = "2";
  const auto replaced = client().replace(resources::kConfigMaps, changed);
  ASSERT_TRUE(replaced);
  EXPECT_NE(resource_version_of(*replaced), resource_version_of(*found));

  ASSERT_TRUE(client().remove(resources::kConfigMaps, {ns_name(), "a"}));
  found = client().get(resources::kConfigMaps, {ns_name(), "a"});
  ASSERT_FALSE(found);
  EXPECT_TRUE(found.error().not_found());
  EXPECT_EQ(found.error().reason, "NotFound");
}

TEST_F(Objects, RefusalsHaveTheirCodes) {
  ASSERT_TRUE(client().create(resources::kConfigMaps, config_map("a")));
  const auto again = client().create(resources::kConfigMaps, config_map("a"));
  ASSERT_FALSE(again);
  EXPECT_TRUE(again.error().already_exists()) << again.error().text();

  json stale = *client().get(resources::kConfigMaps, {ns_name(), "a"});
  ASSERT_TRUE(client().patch_merge(resources::kConfigMaps, {ns_name(), "a"}, {{"data", {{"x", "y"}}}}));
  const auto conflict = client().replace(resources::kConfigMaps, stale);
  ASSERT_FALSE(conflict);
  EXPECT_TRUE(conflict.error().conflict()) << conflict.error().text();

  const auto invalid = client().create(resources::kConfigMaps, config_map("Not_A_Name"));
  ASSERT_FALSE(invalid);
  EXPECT_TRUE(invalid.error().invalid()) << invalid.error().text();
  ASSERT_FALSE(invalid.error().causes.empty());
  EXPECT_EQ(invalid.error().causes[0].field, "metadata.name");

  DeleteOptions other;
  other.uid = "00000000-0000-0000-0000-000000000000";
  const auto kept = client().remove(resources::kConfigMaps, {ns_name(), "a"}, other);
  ASSERT_FALSE(kept);
  EXPECT_TRUE(kept.error().conflict()) << kept.error().text();

  const auto unknown = client().get({"none.example", "v1", "things"}, {ns_name(), "a"});
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(unknown.error().not_found());
}

TEST_F(Objects, GenerateName) {
  json object = config_map("");
  object["metadata"].erase("name");
  object["metadata"]["generateName"] = "made-";
  const auto created = client().create(resources::kConfigMaps, object);
  ASSERT_TRUE(created) << created.error().text();
  EXPECT_TRUE(key_of(*created).name.starts_with("made-"));
  EXPECT_GT(key_of(*created).name.size(), 5U);
}

TEST_F(Objects, MergePatchSetsAndRemoves) {
  ASSERT_TRUE(client().create(resources::kConfigMaps, config_map("a", {{"keep", "1"}, {"drop", "2"}})));
  const auto patched = client().patch_merge(resources::kConfigMaps, {ns_name(), "a"},
                                            {{"data", {{"drop", nullptr}, {"new", "3"}}}});
  ASSERT_TRUE(patched);
  EXPECT_EQ((*patched)["data"], (json{{"keep", "1"}, {"new", "3"}}));
}

TEST_F(Objects, FinalizersHoldADeletedObject) {
  json object = config_map("held");
  object["metadata"]["finalizers"] = {"stepdown.dev/test"};
  ASSERT_TRUE(client().create(resources::kConfigMaps, object));
  ASSERT_TRUE(client().remove(resources::kConfigMaps, {ns_name(), "held"}));
  const auto held = client().get(resources::kConfigMaps, {ns_name(), "held"});
  ASSERT_TRUE(held);
  EXPECT_TRUE(is_being_deleted(*held));
  ASSERT_TRUE(client().patch_merge(resources::kConfigMaps, {ns_name(), "held"},
                                   {{"metadata", {{"finalizers", nullptr}}}}));
  EXPECT_TRUE(eventually([] { return !client().get(resources::kConfigMaps, {ns_name(), "held"}); }));
}

TEST_F(Objects, ListsPageByPageAndBySelector) {
  for (int i = 0; i < 7; ++i) {
    json object = config_map("page-" + std::to_string(i));
    object["metadata"]["labels"] = {{"parity", i % 2 == 0 ? "even" : "odd"}, {"page", "yes"}};
    ASSERT_TRUE(client().create(resources::kConfigMaps, object));
  }
  ListOptions options;
  options.ns = ns_name();
  options.label_selector = "page=yes";
  options.limit = 3;
  std::vector<std::string> names;
  const auto version = client().list(resources::kConfigMaps, options, [&](json&& object) {
    EXPECT_EQ(object["kind"], "ConfigMap");
    names.push_back(key_of(object).name);
  });
  ASSERT_TRUE(version) << version.error().text();
  EXPECT_NE(*version, "");
  EXPECT_EQ(names,
            (std::vector<std::string>{"page-0", "page-1", "page-2", "page-3", "page-4", "page-5", "page-6"}));

  struct Case {
    const char* labels;
    const char* fields;
    std::size_t count;
  };
  for (const Case& c : {Case{"page=yes,parity!=odd", "", 4}, Case{"page,parity in (odd)", "", 3},
                        Case{"!page", "metadata.name=page-0", 0}, Case{"", "metadata.name=page-3", 1},
                        Case{"page", "metadata.name!=page-3", 6}}) {
    options.label_selector = c.labels;
    options.field_selector = c.fields;
    const auto found = client().list_all(resources::kConfigMaps, options);
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_EQ(found->size(), c.count) << c.labels << " " << c.fields;
  }
}

TEST_F(Objects, ApplyOwnsFieldsAndConflictsWithoutForce) {
  const ApplyOptions us{"us", false};
  const ApplyOptions them{"them", false};
  ASSERT_TRUE(client().apply(resources::kConfigMaps, config_map("a", {{"mine", "1"}, {"shared", "1"}}), us));

  const auto conflict = client().apply(resources::kConfigMaps, config_map("a", {{"shared", "2"}}), them);
  ASSERT_FALSE(conflict);
  EXPECT_TRUE(conflict.error().conflict()) << conflict.error().text();
  ASSERT_FALSE(conflict.error().causes.empty());
  EXPECT_EQ(conflict.error().causes[0].reason, "FieldManagerConflict");

  const auto forced =
      client().apply(resources::kConfigMaps, config_map("a", {{"shared", "2"}}), {"them", true});
  ASSERT_TRUE(forced) << forced.error().text();
  EXPECT_EQ((*forced)["data"], (json{{"mine", "1"}, {"shared", "2"}}));

  // What we no longer apply and alone own goes away.
  const auto shrunk = client().apply(resources::kConfigMaps, config_map("a"), us);
  ASSERT_TRUE(shrunk);
  EXPECT_EQ((*shrunk)["data"], (json{{"shared", "2"}}));
}

TEST_F(Objects, ApplyThatChangesNothingWritesNothing) {
  const ApplyOptions us{"us", true};
  const auto first = client().apply(resources::kConfigMaps, config_map("a", {{"k", "v"}}), us);
  const auto second = client().apply(resources::kConfigMaps, config_map("a", {{"k", "v"}}), us);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(resource_version_of(*first), resource_version_of(*second));

  ApplyOptions dry = us;
  dry.dry_run = true;
  ASSERT_TRUE(client().apply(resources::kConfigMaps, config_map("a", {{"k", "other"}}), dry));
  EXPECT_EQ((*client().get(resources::kConfigMaps, {ns_name(), "a"}))["data"]["k"], "v");
}

TEST_F(Objects, StatusIsASubresource) {
  json object = deployment("web");
  object["status"] = {{"replicas", 5}};
  const auto created = client().create(resources::kDeployments, object);
  ASSERT_TRUE(created) << created.error().text();
  EXPECT_EQ(integer_at(*created, "/status/replicas", 0), 0) << "status is not written with the object";
  EXPECT_EQ(integer_at(*created, "/metadata/generation", 0), 1);
  EXPECT_EQ(integer_at(*created, "/spec/replicas", 0), 1) << "defaulted";

  const json status = {{"apiVersion", "apps/v1"},
                       {"kind", "Deployment"},
                       {"metadata", {{"namespace", ns_name()}, {"name", "web"}}},
                       {"spec", {{"replicas", 9}}},
                       {"status", {{"observedGeneration", 1}, {"replicas", 1}}}};
  const auto applied = client().apply_status(resources::kDeployments, status, {"status-writer", true});
  ASSERT_TRUE(applied) << applied.error().text();
  EXPECT_EQ(integer_at(*applied, "/status/replicas", 0), 1);
  EXPECT_EQ(integer_at(*applied, "/spec/replicas", 0), 1) << "the spec is not written with the status";
  EXPECT_EQ(integer_at(*applied, "/metadata/generation", 0), 1);
}

TEST_F(Objects, DiscoveryNamesResources) {
  const auto found = client().discover("apps", "v1");
  ASSERT_TRUE(found) << found.error().text();
  const auto deployments = std::find_if(found->begin(), found->end(),
                                        [](const ApiResource& r) { return r.gvr.resource == "deployments"; });
  ASSERT_NE(deployments, found->end());
  EXPECT_EQ(deployments->kind, "Deployment");
  EXPECT_TRUE(deployments->namespaced);
  EXPECT_TRUE(client().discover("", "v1"));
  EXPECT_FALSE(client().discover("none.example", "v1"));
  EXPECT_EQ(client().raw("/readyz").value(), "ok");
}

TEST_F(Objects, ManyThreadsShareOneClient) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 10; ++i) {
        const std::string name = "t" + std::to_string(t) + "-" + std::to_string(i);
        EXPECT_TRUE(client().create(resources::kConfigMaps, config_map(name)));
        EXPECT_TRUE(client().get(resources::kConfigMaps, {ns_name(), name}));
      }
    });
  }
  threads.clear();
  ListOptions all;
  all.ns = ns_name();
  EXPECT_EQ(client().list_all(resources::kConfigMaps, all)->size(), 80U);
}

}  // namespace
}  // namespace stepdown::kube::contract
