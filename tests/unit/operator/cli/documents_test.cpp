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

TEST(Documents, EveryFaultOfADocumentIsAFinding) {
  Documents documents;
  std::vector<Located> unread;
  add_documents(
      "apiVersion: stepdown.dev/v1alpha1\n"
      "kind: QuantizedModel\n"
      "metadata: {name: A.b}\n"
      "spec:\n"
      "  model: {source: \"http://models/a\"}\n"
      "  quantization:\n"
      "    candidates:\n"
      "    - {preset: Q8_0}\n"
      "    - {method: gguf, preset: Q4_K_M, bits: four}\n"
      "  serving:\n"
      "    contextlength: 8192\n"
      "    concurrency: \"4\"\n"
      "  rollout: {fallback: {replicas: 0}}\n",
      "a.yaml", documents, unread);
  std::vector<std::pair<std::string, int>> found;
  for (const Located& each : unread) found.emplace_back(each.finding.path, each.line);
  EXPECT_THAT(found, testing::UnorderedElementsAre(std::pair("metadata.name", 3),
                                                   std::pair("spec.quantization.candidates[0].method", 8),
                                                   std::pair("spec.quantization.candidates[1].bits", 9),
                                                   std::pair("spec.serving.contextlength", 11),
                                                   std::pair("spec.serving.concurrency", 12)));
  std::vector<std::string> judged;
  for (const Located& each : judge(documents)) {
    if (each.finding.severity == compat::Severity::kError) judged.push_back(each.finding.id);
  }
  EXPECT_THAT(judged, testing::UnorderedElementsAre("SD001", "SD004"))
      << "what could be read is judged, and nothing is said twice of what could not";
}

TEST(Documents, ASlipInApiVersionLeavesNoneOfOursOut) {
  for (const char* version :
       {"apiVersion: stepdown.io/v1alpha1\n", "apiversion: stepdown.dev/v1alpha1\n", ""}) {
    Documents documents;
    std::vector<Located> unread;
    add_documents(std::string(version) + "kind: QuantizedModel\nmetadata: {name: a}\nspec: {}\n", "a.yaml",
                  documents, unread);
    EXPECT_EQ(documents.ignored, 0) << version;
    ASSERT_EQ(unread.size(), 1U) << version;
    EXPECT_NE(unread[0].finding.mend.find("stepdown.dev/v1alpha1"), std::string::npos)
        << unread[0].finding.mend;
  }
}

TEST(Documents, ABrokenDocumentHidesNoOther) {
  Documents documents;
  std::vector<Located> unread;
  add_documents("a: [\n---\n" + std::string(kModel) + "---\nb: {\n---\n" + kModel, "a.yaml", documents,
                unread);
  ASSERT_EQ(unread.size(), 2U);
  EXPECT_TRUE(unread[0].object.empty());
  EXPECT_EQ(documents.models.size(), 2U);
  std::vector<int> lines;
  for (const Located& each : judge(documents)) {
    if (each.finding.id == "SD001") lines.push_back(each.line);
  }
  EXPECT_THAT(lines, testing::ElementsAre(7, 15));
}

TEST(Documents, SaysOfAnEmptyFileThatNothingIsInIt) {
  for (const char* text : {"", "\n\n", "# later\n", "---\n---\n"}) {
    Documents documents;
    std::vector<Located> unread;
    add_documents(text, "a.yaml", documents, unread);
    ASSERT_EQ(unread.size(), 1U) << text;
    EXPECT_EQ(unread[0].finding.severity, compat::Severity::kWarning);
    EXPECT_THAT(unread[0].finding.message, testing::HasSubstr("nothing is in it"));
    add_documents(text, "-", documents, unread);
    EXPECT_EQ(unread.back().finding.severity, compat::Severity::kError) << "what was piped did not come";
  }
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
