#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/base/dtype.h"
#include "engine/base/hash.h"
#include "engine/formats/gguf_metadata.h"

namespace stepdown::formats {

/// A tensor that will be written: `shape` is row-major as in TensorView.
struct GgufTensor {
  std::string name;
  DType type = DType::kF32;
  std::vector<std::int64_t> shape;

  std::size_t bytes() const;
};

/// What becomes of a file that is there already.
enum class Existing {
  kReplaced,
  kContinued,  ///< one with this header, begun by a writer that was killed
};

/// Streams a GGUF version 3 file: the header first, then the tensors' data in the order given, in pieces of
/// any size, hashed on the way. Writes to `path` itself; readers are shielded by writing into a
/// StagingFolder. One that shall be continued notes beside it, in ".<name>.written", which tensors are whole
/// and their bytes' digest, until it is finished.
class GgufWriter {
 public:
  GgufWriter(std::filesystem::path path, const GgufMetadata& metadata, std::vector<GgufTensor> tensors,
             Existing existing = Existing::kReplaced);
  ~GgufWriter();
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;

  /// How many are there; the first so many, when an earlier writer's file is continued.
  std::size_t whole_tensors() const { return current_; }
  /// The next bytes of the current tensor; a piece must not pass its end. Throws Error when the disk is full.
  void write(std::span<const std::byte> bytes);
  /// Checks that all tensors are whole, fsyncs and closes. Returns the file's SHA-256, 64 hex digits.
  std::string finish();

 private:
  void put(std::span<const std::byte> bytes);
  void pad();
  bool take_up(std::string_view header);
  void note_whole() const;

  std::filesystem::path path_;
  std::filesystem::path note_;  ///< empty: none is kept
  std::vector<GgufTensor> tensors_;
  Sha256 hash_;
  int fd_ = -1;
  std::uint64_t written_ = 0;
  std::uint32_t alignment_;
  std::size_t current_ = 0;        ///< index of the tensor being written
  std::size_t current_bytes_ = 0;  ///< of it, written
};

}  // namespace stepdown::formats
