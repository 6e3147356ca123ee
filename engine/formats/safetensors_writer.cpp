#include "engine/formats/safetensors_writer.h"

#include <cstdint>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/output_file.h"

namespace stepdown::formats {

namespace fs = std::filesystem;

void write_safetensors(const fs::path& path, std::span<const TensorView> tensors) {
  nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
  std::uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    const std::uint64_t end = offset + tensor.data.size();
    header[tensor.name] = {
        {"dtype", dtype_info(tensor.type).name}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // data begin aligned
  const std::uint64_t length = text.size();

  const fs::path unfinished = path.parent_path() / ("." + path.filename().string() + ".tmp");
  OutputFile out(unfinished);
  out.write(std::as_bytes(std::span(&length, 1)));
  out.write(text);
  for (const TensorView& tensor : tensors) out.write(tensor.data);
  out.finish();
  fs::rename(unfinished, path);
  sync_to_disk(path.parent_path());
}

void write_safetensors_index(const fs::path& folder, const std::map<std::string, std::string>& files,
                             std::uint64_t total_bytes) {
  const nlohmann::json index = {{"metadata", {{"total_size", total_bytes}}}, {"weight_map", files}};
  write_file_atomically(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

}  // namespace stepdown::formats
