#include "engine/formats/gguf_writer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/file_error.h"
#include "engine/formats/gguf_header.h"

namespace stepdown::formats {
namespace {

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

struct WrittenNote {
  std::size_t tensors;
  std::uint64_t bytes;
  std::string sha256;
};

std::optional<WrittenNote> read_note(const std::filesystem::path& path) {
  std::ifstream file(path);
  const nlohmann::json note = nlohmann::json::parse(file, nullptr, false);
  try {
    return WrittenNote{note.at("tensors"), note.at("bytes"), note.at("sha256")};
  } catch (const nlohmann::json::exception&) {  // none, or one cut short
    return std::nullopt;
  }
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
                       std::vector<GgufTensor> tensors, Existing existing)
    : path_(std::move(path)), tensors_(std::move(tensors)), alignment_(alignment_of(metadata)) {
  const std::string header = header_bytes(metadata, tensors_, alignment_);
  if (existing == Existing::kContinued) {
    note_ = path_.parent_path() / ("." + path_.filename().string() + ".written");
    if (take_up(header)) return;
  }
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) throw_file_error("create", path_);
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
    if (!note_.empty()) note_whole();
  }
}

std::string GgufWriter::finish() {
  if (current_ != tensors_.size())
    throw Error("tensor '" + tensors_[current_].name + "' is not whole", path_.string());
  if (::fsync(fd_) != 0) throw_file_error("sync", path_);
  const int result = ::close(std::exchange(fd_, -1));
  if (result != 0) throw_file_error("close", path_);
  std::error_code ignored;  // a file that is whole needs no note
  if (!note_.empty()) std::filesystem::remove(note_, ignored);
  return hash_.hex();
}

/// Not synced, as a tensor may take a millisecond: what a machine that stopped left of note or data is told
/// by the digest.
void GgufWriter::note_whole() const {
  const std::filesystem::path next = note_.string() + ".next";
  {
    std::ofstream file(next);
    file << nlohmann::json{{"tensors", current_}, {"bytes", written_}, {"sha256", hash_.hex_so_far()}};
    file.flush();
    if (!file) return;  // a killed run goes on behind what the last note tells of
  }
  std::error_code ignored;
  std::filesystem::rename(next, note_, ignored);
}

/// Goes on behind the tensors that the note tells of; false where they are not there, byte for byte.
bool GgufWriter::take_up(std::string_view header) {
  const auto told = read_note(note_);
  if (!told || told->tensors > tensors_.size()) return false;
  std::uint64_t end = align_up(header.size(), alignment_);
  for (std::size_t i = 0; i < told->tensors; ++i) end = align_up(end + tensors_[i].bytes(), alignment_);
  if (told->bytes != end) return false;
  std::ifstream file(path_, std::ios::binary);
  Sha256 hash;
  std::string piece(1 << 20, '\0');
  for (std::uint64_t at = 0; at < end; at += piece.size()) {
    piece.resize(std::min<std::uint64_t>(piece.size(), end - at));
    if (!file.read(piece.data(), static_cast<std::streamsize>(piece.size()))) return false;
    if (at < header.size() &&
        header.substr(at, piece.size()) != std::string_view(piece).substr(0, header.size() - at))
      return false;
    hash.update(piece);
  }
  if (hash.hex_so_far() != told->sha256) return false;
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd_ < 0 || ::ftruncate(fd_, static_cast<off_t>(end)) != 0 || ::lseek(fd_, 0, SEEK_END) < 0)
    throw_file_error("go on with", path_);
  hash_ = std::move(hash);
  written_ = end;
  current_ = told->tensors;
  return true;
}

void GgufWriter::put(std::span<const std::byte> bytes) {
  hash_.update(bytes);
  written_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_file_error("write", path_);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void GgufWriter::pad() {
  const std::vector<std::byte> zeros(align_up(written_, alignment_) - written_);
  put(zeros);
}

}  // namespace stepdown::formats
