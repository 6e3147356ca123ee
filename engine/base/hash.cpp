#include "engine/base/hash.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <openssl/evp.h>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"

namespace stepdown {

namespace fs = std::filesystem;

struct Sha256::State {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) != 1)
    throw Error("SHA-256 is unavailable");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

std::string Sha256::hex_so_far() const {
  Sha256 copy;
  if (EVP_MD_CTX_copy_ex(copy.state_->context.get(), state_->context.get()) != 1)
    throw Error("SHA-256 is unavailable");
  return copy.hex();
}

Sha256& Sha256::update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size());
  return *this;
}

Sha256& Sha256::update(std::string_view text) {
  return update(std::as_bytes(std::span(text)));
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  unsigned int length = 0;
  EVP_DigestFinal_ex(state_->context.get(), digest.data(), &length);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(64);
  for (const unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

bool is_sha256_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  constexpr std::size_t kHexDigits = 64;
  return text.starts_with(kPrefix) && text.size() == kPrefix.size() + kHexDigits &&
         text.find_first_not_of("0123456789abcdef", kPrefix.size()) == std::string_view::npos;
}

std::string sha256_hex(std::string_view text) {
  return Sha256().update(text).hex();
}

std::string sha256_file(const fs::path& path) {
  // Read in pieces: a map of the whole file would count as this process's memory.
  std::ifstream in(path, std::ios::binary);
  if (!in) throw InputError("cannot open", path.string(), "check that the file exists and is readable");
  Sha256 hash;
  std::vector<char> piece(1 << 20);
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
    hash.update(std::string_view(piece.data(), static_cast<std::size_t>(in.gcount())));
  }
  if (in.bad()) throw Error("cannot read", path.string(), "check the disk");
  return hash.hex();
}

std::vector<std::string> pinned_files(const fs::path& folder) {
  std::vector<std::string> files;
  for (auto entry = fs::recursive_directory_iterator(folder); entry != fs::recursive_directory_iterator();
       ++entry) {
    if (entry->path().filename().string().starts_with('.')) {
      if (entry->is_directory()) entry.disable_recursion_pending();
      continue;
    }
    if (entry->is_regular_file()) files.push_back(entry->path().lexically_relative(folder).generic_string());
  }
  std::ranges::sort(files);
  return files;
}

namespace {

using Sums = std::map<std::string, std::string>;  // SHA-256 of each pinned file

/// In windows: a map of the whole file would count as this process's memory.
std::string sha256_mapped(const fs::path& path) {
  constexpr std::uint64_t kWindow = 4 << 20;
  Sha256 hash;
  for (std::uint64_t at = 0;; at += kWindow) {
    const MappedFile window(path, at, kWindow);
    if (window.bytes().empty()) return hash.hex();
    hash.update(window.bytes());
  }
}

std::string sum_of(const fs::path& file, FileAccess access) {
  return access == FileAccess::kMapped ? sha256_mapped(file) : sha256_file(file);
}

Sums sums_of(const fs::path& folder, FileAccess access = FileAccess::kCopied) {
  Sums sums;
  for (const std::string& file : pinned_files(folder)) sums.emplace(file, sum_of(folder / file, access));
  if (sums.empty())
    throw InputError("no files to pin", folder.string(), "give a file, or a folder that holds some");
  return sums;
}

/// Its first pages, where a model's header lies, and others all over it.
std::string sample_of(const fs::path& path) {
  constexpr std::uint64_t kPage = 4096;
  constexpr std::uint64_t kPages = 64;
  const std::uint64_t size = fs::file_size(path);
  std::ifstream in(path, std::ios::binary);
  if (!in) throw InputError("cannot open", path.string(), "check that the file exists and is readable");
  std::vector<char> bytes(kPages * kPage);
  const auto read = [&](std::uint64_t at, std::uint64_t count) {
    in.clear();
    in.seekg(static_cast<std::streamoff>(at));
    in.read(bytes.data(), static_cast<std::streamsize>(count));
    return std::string_view(bytes.data(), static_cast<std::size_t>(in.gcount()));
  };
  Sha256 hash;
  hash.update(std::to_string(size)).update("\n").update(read(0, kPages * kPage));
  for (std::uint64_t page = 1; page < kPages && size > kPages * kPage; ++page)
    hash.update(read(size / kPages * page, kPage));
  return hash.hex();
}

std::string digest_of(const Sums& sums) {
  if (sums.size() == 1 && sums.begin()->first.ends_with(".gguf")) return sums.begin()->second;
  Sha256 all;
  for (const auto& [file, sum] : sums) all.update(sum).update("  ").update(file).update("\n");
  return all.hex();
}

}  // namespace

std::uint64_t pinned_bytes(const fs::path& path) {
  if (!fs::is_directory(path)) return fs::file_size(path);
  std::uint64_t sum = 0;
  for (const std::string& file : pinned_files(path)) sum += fs::file_size(path / file);
  return sum;
}

std::string artifact_digest(const fs::path& path, FileAccess access) {
  return fs::is_directory(path) ? digest_of(sums_of(path, access)) : sum_of(path, access);
}

std::string sampled_digest(const fs::path& path) {
  if (!fs::is_directory(path)) return sample_of(path);
  Sha256 all;
  for (const std::string& file : pinned_files(path))
    all.update(sample_of(path / file)).update(file).update("\n");
  return all.hex();
}

std::vector<std::string> pinning_digests(const fs::path& model) {
  if (!fs::is_directory(model)) return {sha256_file(model)};
  const Sums sums = sums_of(model);
  std::vector<std::string> digests = {digest_of(sums)};
  std::vector<std::string> ggufs;
  for (const auto& entry : fs::directory_iterator(model)) {
    if (entry.path().extension() == ".gguf") ggufs.push_back(entry.path().filename());
  }
  if (ggufs.size() != 1) return digests;
  const auto known = sums.find(ggufs[0]);  // not where it is hidden
  digests.push_back(known != sums.end() ? known->second : sha256_file(model / ggufs[0]));
  return digests;
}

}  // namespace stepdown
