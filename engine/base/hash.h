#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown {

/// Incremental SHA-256 (FIPS 180-4, by OpenSSL).
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& update(std::span<const std::byte> bytes);
  Sha256& update(std::string_view text);
  /// 64 lowercase hex digits; call once.
  std::string hex();
  /// The same of what came until now; more may follow.
  std::string hex_so_far() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view text);
/// "sha256:" and 64 hex digits.
bool is_sha256_digest(std::string_view text);
std::string sha256_file(const std::filesystem::path& path);

/// How a file's bytes come to be hashed: copied, or mapped, which takes a tenth less time, but ends the
/// process where the file becomes shorter or cannot be read. That is for files that it has mapped anyway.
enum class FileAccess { kCopied, kMapped };

/// The digest by which an artifact or a base model is pinned: 64 hex digits, without the "sha256:" prefix.
/// A file: its SHA-256. A directory: SHA-256 over "<sha256>  <relative path>\n" of every regular file whose
/// path holds no component starting with '.', sorted by path, so that `sha256sum` can check it. A directory
/// that holds one .gguf file alone has that file's digest, so that an artifact's folder and its file agree.
std::string artifact_digest(const std::filesystem::path& path, FileAccess access = FileAccess::kCopied);

/// Tells models apart in a moment, by their files' names, sizes and some of their pages. Others may have the
/// same.
std::string sampled_digest(const std::filesystem::path& path);

/// The files of a directory that its digest is of: relative paths, sorted.
std::vector<std::string> pinned_files(const std::filesystem::path& folder);
/// Bytes of a file, or of the files of a directory that its digest is of.
std::uint64_t pinned_bytes(const std::filesystem::path& path);

/// The digests that pin a model: its own, and for a folder around one GGUF file also that file's, since
/// artifacts are named by their file wherever they are mounted.
std::vector<std::string> pinning_digests(const std::filesystem::path& model);

}  // namespace stepdown
