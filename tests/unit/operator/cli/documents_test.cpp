#include "operator/cli/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operator/cli/judgement.h"

namespace stepdown::cli {
namespace {

constexpr const char* kModel =
    "apiVersion: stepdown.dev/v1alpha1\nkind: QuantizedModel\nmetadata: {name: good}\n"
    "spec:\n  model: {source: \"http://models/a\"}\n";

TEST(Documents, OneThatCannotBeReadHidesNoOther) {
  Documents documents;
  std::vector<Located> unread;
  const std::string misspelt =
      "apiVersion: stepdown.dev/v1alpha1\nkind: QuantizedModel\nmetadata: {name: misspelt}\n"
      "spec:\n  model: {source: \"pvc://models/a\"}\n  serving:\n    contextlength: 8192\n";
  add_documents("kind: Service\n---\n" + misspelt + "---\n" + kModel, "a.yaml", documents, unread);
  add_documents("a: 1\nb: [\n", "broken.yaml", documents, unread);
  add_documents(std::string(kModel) +
                    "---\napiVersion: stepdown.dev/v1alpha1\nkind: QuantizedModel\n"
                    "metadata:\n  name: Bad.Name\nspec: {model: {source: \"pvc://a/b\"}}\n",
                "b.yaml", documents, unread);
  ASSERT_EQ(unread.size(), 3U);
  for (const Located& each : unread) {
    EXPECT_EQ(each.finding.id, compat::kUnreadable);
    EXPECT_EQ(each.finding.severity, compat::Severity::kError);
    EXPECT_FALSE(each.finding.mend.empty());
  }
  EXPECT_EQ(unread[0].object, "QuantizedModel/misspelt");
  EXPECT_EQ(unread[0].finding.path, "spec.serving.contextlength");
  EXPECT_EQ(unread[0].finding.message, "unknown field");
  EXPECT_EQ(unread[0].line, 9);
  EXPECT_EQ(unread[1].file, "broken.yaml");
  EXPECT_GE(unread[1].line, 2);
  EXPECT_EQ(unread[2].finding.path, "metadata.name");
  EXPECT_EQ(unread[2].line, 10);
  const auto found = judge(documents);
  const auto refused = [](const Located& each) { return each.finding.id == "SD001"; };
  EXPECT_EQ(std::ranges::count_if(found, refused), 2) << "both readable models are judged";
}

TEST(Documents, ASourceThatIsNoModelIsAFinding) {
  Documents documents;
  std::vector<Located> unread;
  const std::string here = std::string("file://") + STEPDOWN_SOURCE_DIR + "/README.md";
  add_documents(
      "apiVersion: stepdown.dev/v1alpha1\nkind: QuantizedModel\nmetadata: {name: a}\nspec:\n  model:\n    "
      "source: " +
          here + "\n",
      "a.yaml", documents, unread);
  const auto found = judge(documents);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].finding.id, compat::kUnreadable);
  EXPECT_EQ(found[0].finding.path, "spec.model.source");
  EXPECT_EQ(found[0].line, 6);
}

TEST(Documents, AVersionThatThereIsNotIsUnread) {
  Documents documents;
  std::vector<Located> unread;
  add_documents("apiVersion: stepdown.dev/v1\nkind: QuantizedModel\nmetadata: {name: a}\nspec: {}\n",
                "a.yaml", documents, unread);
  ASSERT_EQ(unread.size(), 1U);
  EXPECT_NE(unread[0].finding.message.find("stepdown.dev/v1"), std::string::npos);
  EXPECT_TRUE(documents.models.empty());
}

}  // namespace
}  // namespace stepdown::cli
