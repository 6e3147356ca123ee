#include "engine/formats/gguf_shards.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <string>

#include "engine/base/error.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigits = 5;

struct Shard {
  std::string name;  ///< of the model
  std::string count;
};

bool number(std::string_view text) {
  return text.size() == kDigits && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Of "NAME-00002-of-00003.gguf", as llama.cpp's llama_split_path writes it.
std::optional<Shard> shard_of(const fs::path& file) {
  constexpr std::string_view kOf = "-of-";
  constexpr std::size_t kTail = 1 + kDigits + kOf.size() + kDigits;
  const std::string stem = file.stem().string();
  if (stem.size() <= kTail) return std::nullopt;
  const std::string_view tail = std::string_view(stem).substr(stem.size() - kTail);
  const bool matches = tail[0] == '-' && number(tail.substr(1, kDigits)) &&
                       tail.substr(1 + kDigits, kOf.size()) == kOf && number(tail.substr(kTail - kDigits));
  if (!matches) return std::nullopt;
  return Shard{stem.substr(0, stem.size() - kTail), std::string(tail.substr(kTail - kDigits))};
}

std::string shard_name(const Shard& shard, std::size_t number) {
  std::array<char, 32> digits;
  std::snprintf(digits.data(), digits.size(), "-%05zu-of-", number);
  return shard.name + digits.data() + shard.count + ".gguf";
}

}  // namespace

std::vector<fs::path> gguf_shards(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    // llama.cpp's projector of a model's images lies beside it.
    const bool projector = entry.path().filename().string().find("mmproj") != std::string::npos;
    if (entry.path().extension() == ".gguf" && !projector) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  if (files.empty()) return files;
  const std::optional<Shard> first = shard_of(files.front());
  const std::size_t count = first ? std::stoul(first->count) : 1;
  for (std::size_t i = 0; first && i < std::min(count, files.size() + 1); ++i) {
    const std::string expected = shard_name(*first, i + 1);
    if (i < files.size() && files[i].filename() == expected) continue;
    throw InputError(
        "file " + expected + " is missing", folder.string(),
        "fetch all " + std::to_string(count) + " files of the model into this folder, and no other");
  }
  if (files.size() > count) {
    throw InputError("holds " + std::to_string(files.size()) + " .gguf files", folder.string(),
                     "name one of them, such as " + files.front().string());
  }
  return files;
}

void refuse_shard(const fs::path& file) {
  const std::optional<Shard> shard = shard_of(file);
  if (!shard || std::stoul(shard->count) < 2) return;
  throw InputError("is one of " + std::to_string(std::stoul(shard->count)) + " files of a model",
                   file.string(), "give the folder that holds all of them");
}

}  // namespace stepdown::formats
