#include "engine/formats/safetensors_writer.h"

#include <cstdint>
#include <fstream>

#include <nlohmann/json.hpp>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

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
  std::ofstream out(unfinished, std::ios::binary | std::ios::trunc);
  const auto put = [&](const void* bytes, std::size_t size) {
    out.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
  };
  put(&length, sizeof(length));
  put(text.data(), text.size());
  for (const TensorView& tensor : tensors) put(tensor.data.data(), tensor.data.size());
  out.close();
  if (!out) throw Error("cannot write", unfinished.string(), "free some space on the disk and try again");
  sync_to_disk(unfinished);
  fs::rename(unfinished, path);
  sync_to_disk(path.parent_path());
}

void write_safetensors_index(const fs::path& folder, const std::map<std::string, std::string>& files,
                             std::uint64_t total_bytes) {
  const nlohmann::json index = {{"metadata", {{"total_size", total_bytes}}}, {"weight_map", files}};
  write_file_atomically(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

}  // namespace stepdown::formats
