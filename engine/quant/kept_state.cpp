#include "engine/quant/kept_state.h"

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/base/file_error.h"
#include "engine/base/log.h"
#include "engine/base/output_file.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;

fs::path unfinished(fs::path file) {
  return file += ".next";
}

/// The head and where the numbers behind it belong; nothing: the file is another's, or damaged.
std::optional<std::vector<std::span<float>>> open(std::ifstream& in, std::uint64_t file_bytes,
                                                  nlohmann::json& head, const Places& places) {
  std::uint64_t head_bytes = 0;
  in.read(reinterpret_cast<char*>(&head_bytes), sizeof head_bytes);
  if (!in || head_bytes > file_bytes - sizeof head_bytes) return std::nullopt;
  std::string text(head_bytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  head = nlohmann::json::parse(text, nullptr, false);
  if (!in || !head.is_object()) return std::nullopt;
  std::uint64_t rest = file_bytes - sizeof head_bytes - head_bytes;
  try {
    std::vector<std::span<float>> found = places(head, rest / sizeof(float));
    for (const std::span<float> part : found) {
      if (part.size_bytes() > rest) return std::nullopt;
      rest -= part.size_bytes();
    }
    if (rest == 0) return found;
  } catch (const nlohmann::json::exception&) {  // a head of another kind
  }
  return std::nullopt;
}

void write_state(const fs::path& file, const nlohmann::json& head,
                 std::span<const std::span<const float>> numbers) {
  const fs::path next = unfinished(file);
  OutputFile out(next);
  const std::string text = head.dump();
  const std::uint64_t head_bytes = text.size();
  out.write(std::as_bytes(std::span(&head_bytes, 1)));
  out.write(text);
  for (const std::span<const float> part : numbers) out.write(std::as_bytes(part));
  out.finish();
  fs::rename(next, file);
  sync_to_disk(file.parent_path());
}

}  // namespace

bool keep_state(const fs::path& file, const nlohmann::json& head,
                std::span<const std::span<const float>> numbers) {
  try {
    write_state(file, head, numbers);
    return true;
  } catch (const DiskFull& full) {
    discard_state(file);
    log::warn("a run that is killed now begins anew, as there is no room to keep what it has",
              {{"because", full.what()}});
    return false;
  }
}

nlohmann::json take_up_state(const fs::path& file, const Places& places) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return nullptr;
  nlohmann::json head;
  const auto numbers = open(in, fs::file_size(file), head, places);
  if (!numbers) {
    log::warn(file.string() + " does not fit this run, which begins anew");
    return nullptr;
  }
  for (const std::span<float> part : *numbers)
    in.read(reinterpret_cast<char*>(part.data()), static_cast<std::streamsize>(part.size_bytes()));
  if (!in) throw Error("cannot read", file.string(), "check the disk, or remove the file to begin anew");
  return head;
}

void discard_state(const fs::path& file) {
  std::error_code ignored;  // what stays is removed with its folder
  fs::remove(file, ignored);
  fs::remove(unfinished(file), ignored);
}

}  // namespace stepdown::quant
