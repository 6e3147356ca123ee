#include <algorithm>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/formats/gguf_file.h"
#include "engine/formats/hf_model.h"
#include "engine/formats/model_file.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> gguf_files(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".gguf") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

const TensorView* ModelFile::find(std::string_view name) const {
  const auto all = tensors();
  const auto found = std::ranges::find(all, name, &TensorView::name);
  return found == all.end() ? nullptr : &*found;
}

std::unique_ptr<ModelFile> open_model(const fs::path& path) {
  if (!fs::exists(path))
    throw InputError("no such model", path.string(), "give a .gguf file or a model directory");
  if (!fs::is_directory(path)) return open_gguf(path);
  const auto files = gguf_files(path);
  if (files.size() == 1) return open_gguf(files.front());
  if (files.size() > 1) {
    throw InputError("holds " + std::to_string(files.size()) + " .gguf files", path.string(),
                     "name one of them, such as " + files.front().string());
  }
  if (fs::exists(path / "config.json")) return open_hf(path);
  throw InputError(
      "no model here", path.string(),
      "give a directory with one .gguf file, or with config.json, tokenizer.json and safetensors");
}

}  // namespace stepdown::formats
