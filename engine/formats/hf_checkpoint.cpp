#include "engine/formats/hf_checkpoint.h"

#include <algorithm>
#include <set>
#include <utility>

#include "engine/base/error.h"
#include "engine/formats/json_view.h"
#include "engine/formats/release_pages.h"
#include "engine/formats/safetensors.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

void check_index(const fs::path& folder, const HfCheckpoint::Tensors& stored) {
  const auto index = read_json(folder / "model.safetensors.index.json");
  if (!index) return;
  const JsonView map = index->required("weight_map");
  for (const auto& [name, unused] : map.json().items()) {
    const auto found = stored.find(name);
    const JsonView entry = map.required(name);
    if (found == stored.end() || found->second.file != (folder / entry.text()).string()) {
      entry.fail("the tensor is not in " + entry.text(), "copy or download the folder again");
    }
  }
}

}  // namespace

std::vector<std::string> weight_files(const fs::path& folder) {
  const auto index = read_json(folder / "model.safetensors.index.json");
  if (!index) return {"model.safetensors"};
  std::set<std::string> files;
  const JsonView map = index->required("weight_map");
  for (const auto& [name, unused] : map.json().items()) {
    const JsonView entry = map.required(name);
    const std::string file = entry.text();
    if (file.empty() || file.find('/') != std::string::npos || file.starts_with('.')) {
      entry.fail("\"" + file + "\" is no file of this folder", "the index is damaged");
    }
    files.insert(file);
  }
  return {files.begin(), files.end()};
}

HfCheckpoint::HfCheckpoint(const fs::path& folder) : folder_(folder) {
  for (const std::string& name : weight_files(folder)) {
    const std::string file = (folder / name).string();
    files_.emplace_back(folder / name);
    for (TensorView& view : parse_safetensors(files_.back().bytes(), file)) {
      std::string tensor = view.name;
      if (!tensors_.emplace(tensor, Stored{std::move(view), file}).second) {
        throw InputError("tensor '" + tensor + "' occurs in two files", file, "remove stray shards");
      }
    }
  }
  check_index(folder, tensors_);
}

const TensorView* HfCheckpoint::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second.view;
}

void HfCheckpoint::release(const TensorView& tensor) const {
  const bool mapped = std::ranges::any_of(files_, [&](const MappedFile& file) {
    const auto bytes = file.bytes();
    return tensor.data.data() >= bytes.data() && tensor.data.data() < bytes.data() + bytes.size();
  });
  if (mapped || lazy_.holds(tensor.data)) release_pages(tensor.data);
}

void HfCheckpoint::replace(const std::string& name, DType type, LazyTensors::Fill fill) {
  TensorView& view = tensors_.at(name).view;
  const auto elements = static_cast<std::size_t>(view.rows() * view.columns());
  view.type = type;
  view.data = lazy_.add(row_bytes(type, elements).value(), {std::move(fill)});
}

}  // namespace stepdown::formats
