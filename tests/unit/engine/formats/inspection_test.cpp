#include "engine/formats/inspection.h"

#include "tests/unit/engine/formats/hf_folder.h"
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/base/hash.h"
#include "engine/base/termination_log.h"
#include "engine/formats/gguf_writer.h"

namespace stepdown::formats {
namespace {

TEST(Inspect, TellsDigestConfigurationAndMemory) {
  HfFolder hf;
  hf.write();
  const nlohmann::json found = inspect(hf.folder.path());
  EXPECT_EQ(found["digest"], "sha256:" + artifact_digest(hf.folder.path()));
  EXPECT_EQ(found["format"], "safetensors");
  EXPECT_EQ(found["architecture"], "llama");
  EXPECT_EQ(found["config"]["contextLength"], 64);
  EXPECT_EQ(found["tensors"], (nlohmann::json{{"F16", 8}, {"F32", 3}}));
  EXPECT_EQ(found["memory"]["kvPerToken"], 2 * 1 * 1 * 8 * 2);
  EXPECT_EQ(found["templateDigest"], "sha256:" + sha256_hex("{{ x }}"));
  EXPECT_LT(found.dump().size(), 4096u) << "must fit a termination message";
}

TEST(Inspect, AGgufOfTheModelHasTheSameTokenizerDigest) {
  HfFolder hf;
  hf.write();
  const auto model = open_model(hf.folder.path());
  const TempFolder out;
  std::vector<GgufTensor> tensors;
  for (const TensorView& tensor : model->tensors())
    tensors.push_back({tensor.name, tensor.type, tensor.shape});
  GgufWriter writer(out / "model.gguf", model->gguf_metadata(), tensors);
  for (const TensorView& tensor : model->tensors()) {
    model->prepare(tensor);
    writer.write(tensor.data);
  }
  writer.finish();
  EXPECT_EQ(inspect(out / "model.gguf")["tokenizerDigest"], inspect(hf.folder.path())["tokenizerDigest"]);
  EXPECT_EQ(inspect(out / "model.gguf")["templateDigest"], inspect(hf.folder.path())["templateDigest"]);
  TokenizerData changed = model->tokenizer();
  changed.tokens[1] = "other";
  EXPECT_NE(tokenizer_digest(changed), tokenizer_digest(model->tokenizer()));
}

}  // namespace
}  // namespace stepdown::formats
