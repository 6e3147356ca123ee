#include "engine/formats/gguf_writer.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/formats/gguf_header.h"

namespace stepdown::formats {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* action) {
  throw Error(std::string("cannot ") + action + ": " + std::generic_category().message(errno), path.string(),
              "check permissions and free space");
}

template <typename T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append_text(std::string& bytes, std::string_view text) {
  append<std::uint64_t>(bytes, text.size());
  bytes += text;
}

void append_value(std::string& bytes, const GgufValue& value) {
  if (value.array) append(bytes, GgufType::kArray);
  append(bytes, value.type);
  if (value.array) append(bytes, value.count);
  bytes += value.bytes;
}

std::string header_bytes(const GgufMetadata& metadata, std::span<const GgufTensor> tensors,
                         std::uint32_t alignment) {
  std::string bytes;
  append(bytes, kGgufMagic);
  append(bytes, kGgufVersion);
  append<std::uint64_t>(bytes, tensors.size());
  append<std::uint64_t>(bytes, metadata.size());
  for (const auto& [key, value] : metadata) {
    append_text(bytes, key);
    append_value(bytes, value);
  }
  std::uint64_t offset = 0;
  for (const GgufTensor& tensor : tensors) {
    append_text(bytes, tensor.name);
    append<std::uint32_t>(bytes, static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto length = tensor.shape.rbegin(); length != tensor.shape.rend(); ++length) {
      append<std::uint64_t>(bytes, static_cast<std::uint64_t>(*length));
    }
    append<std::uint32_t>(bytes, static_cast<std::uint32_t>(tensor.type));
    append(bytes, offset);
    offset = align_up(offset + tensor.bytes(), alignment);
  }
  return bytes;
}

std::uint32_t alignment_of(const GgufMetadata& metadata) {
  const auto found = metadata.find("general.alignment");
  if (found == metadata.end()) return kGgufDefaultAlignment;
  return static_cast<std::uint32_t>(found->second.integer().value_or(kGgufDefaultAlignment));
}

}  // namespace

std::size_t GgufTensor::bytes() const {
  std::size_t rows = 1;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows *= static_cast<std::size_t>(shape[i]);
  const auto row = row_bytes(type, static_cast<std::size_t>(shape.empty() ? 1 : shape.back()));
  if (!row) throw Error("rows are not whole blocks of " + std::string(dtype_info(type).name), name);
  return rows * *row;
}

GgufWriter::GgufWriter(std::filesystem::path path, const GgufMetadata& metadata,
                       std::vector<GgufTensor> tensors)
    : path_(std::move(path)), tensors_(std::move(tensors)), alignment_(alignment_of(metadata)) {
  const std::string header = header_bytes(metadata, tensors_, alignment_);
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail(path_, "create");
  put(std::as_bytes(std::span(header)));
  pad();
}

GgufWriter::~GgufWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void GgufWriter::write(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  if (current_ == tensors_.size() || bytes.size() > tensors_[current_].bytes() - current_bytes_) {
    throw Error("more data than the header announced", path_.string());
  }
  put(bytes);
  current_bytes_ += bytes.size();
  if (current_bytes_ == tensors_[current_].bytes()) {
    pad();
    ++current_;
    current_bytes_ = 0;
  }
}

std::string GgufWriter::finish() {
  if (current_ != tensors_.size())
    throw Error("tensor '" + tensors_[current_].name + "' is not whole", path_.string());
  if (::fsync(fd_) != 0) fail(path_, "sync");
  const int result = ::close(std::exchange(fd_, -1));
  if (result != 0) fail(path_, "close");
  return hash_.hex();
}

void GgufWriter::put(std::span<const std::byte> bytes) {
  hash_.update(bytes);
  written_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path_, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void GgufWriter::pad() {
  const std::vector<std::byte> zeros(align_up(written_, alignment_) - written_);
  put(zeros);
}

}  // namespace stepdown::formats
