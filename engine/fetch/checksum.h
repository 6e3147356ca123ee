#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

/// What registries and object stores say a file's bytes must add up to.
namespace stepdown::fetch {

enum class ChecksumKind {
  kNone,
  kSha256,
  kGitBlob,    ///< SHA-1 over "blob <size>\0" and the bytes: git's name of a file
  kMd5,        ///< S3's ETag of an object that came in one piece
  kCrc32,      ///< of zlib
  kCrc32c,     ///< Castagnoli
  kCrc64Nvme,  ///< S3's own choice since 2024
};

struct Checksum {
  ChecksumKind kind = ChecksumKind::kNone;
  std::string hex;  ///< lower case

  bool operator==(const Checksum&) const = default;
};

/// "sha256", ... as journals and messages name it.
std::string_view name_of(ChecksumKind kind);
/// kNone for a name that is none.
ChecksumKind checksum_kind(std::string_view name);

/// The hex digits of base64 text, as S3 writes checksums; empty where it is not base64 of `bytes` bytes.
std::string hex_of_base64(std::string_view text, std::size_t bytes);

/// Adds up bytes as they come.
class RunningChecksum {
 public:
  /// `size`: of the whole file; git's name of a file needs it.
  RunningChecksum(ChecksumKind kind, std::uint64_t size);
  ~RunningChecksum();
  RunningChecksum(RunningChecksum&&) noexcept;
  RunningChecksum& operator=(RunningChecksum&&) noexcept;

  void update(std::string_view bytes);
  /// Lower-case hex; empty for kNone. Call once.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::fetch
