#include "engine/fetch/checksum.h"

#include <array>

#include <openssl/evp.h>
#include <zlib.h>

#include "engine/base/error.h"

namespace stepdown::fetch {
namespace {

struct Row {
  ChecksumKind kind;
  std::string_view name;
  const EVP_MD* (*digest)();
};
constexpr std::array<Row, 7> kRows = {{
    {ChecksumKind::kNone, "none", nullptr},
    {ChecksumKind::kSha256, "sha256", EVP_sha256},
    {ChecksumKind::kGitBlob, "git-blob", EVP_sha1},
    {ChecksumKind::kMd5, "md5", EVP_md5},
    {ChecksumKind::kCrc32, "crc32", nullptr},
    {ChecksumKind::kCrc32c, "crc32c", nullptr},
    {ChecksumKind::kCrc64Nvme, "crc64nvme", nullptr},
}};

/// Tables of reflected cyclic redundancy checks: eight of 256 entries, so that eight bytes are taken at a
/// time.
template <class T>
using Tables = std::array<std::array<T, 256>, 8>;

template <class T>
constexpr Tables<T> make_tables(T reflected_polynomial) {
  Tables<T> out{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    T value = byte;
    for (int bit = 0; bit < 8; ++bit)
      value = (value & 1U) != 0 ? (value >> 1U) ^ reflected_polynomial : value >> 1U;
    out[0][byte] = value;
  }
  for (std::size_t slice = 1; slice < 8; ++slice) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const T before = out[slice - 1][byte];
      out[slice][byte] = (before >> 8U) ^ out[0][before & 255U];
    }
  }
  return out;
}

template <class T>
T update_crc(T value, std::string_view bytes, const Tables<T>& tables) {
  value = ~value;
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    T sum = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      const std::uint64_t of_value = i < sizeof(T) ? (value >> (8 * i)) & 255U : 0;
      const auto byte = static_cast<unsigned char>(bytes[at + i]);
      sum ^= tables[7 - i][of_value ^ byte];
    }
    value = sum;
  }
  for (; at < bytes.size(); ++at) {
    value = (value >> 8U) ^ tables[0][(value ^ static_cast<unsigned char>(bytes[at])) & 255U];
  }
  return ~value;
}

constexpr Tables<std::uint32_t> kCastagnoli = make_tables<std::uint32_t>(0x82F63B78U);
constexpr Tables<std::uint64_t> kNvme = make_tables<std::uint64_t>(0x9A6C9329AC4BC9B5ULL);

std::string hex_of(const unsigned char* bytes, std::size_t count) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    out += kDigits[bytes[i] >> 4U];
    out += kDigits[bytes[i] & 15U];
  }
  return out;
}

std::string hex_of_number(std::uint64_t value, std::size_t bytes) {
  std::array<unsigned char, 8> out{};
  for (std::size_t i = 0; i < bytes; ++i) out[i] = static_cast<unsigned char>(value >> (8 * (bytes - 1 - i)));
  return hex_of(out.data(), bytes);
}

const Row& row_of(ChecksumKind kind) {
  for (const Row& row : kRows) {
    if (row.kind == kind) return row;
  }
  return kRows[0];
}

}  // namespace

std::string_view name_of(ChecksumKind kind) {
  return row_of(kind).name;
}

ChecksumKind checksum_kind(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.kind;
  }
  return ChecksumKind::kNone;
}

std::string hex_of_base64(std::string_view text, std::size_t bytes) {
  if (text.empty() || text.size() != (bytes + 2) / 3 * 4) return "";
  std::string out(text.size(), '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (length < static_cast<int>(bytes)) return "";
  return hex_of(reinterpret_cast<const unsigned char*>(out.data()), bytes);
}

struct RunningChecksum::State {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  ChecksumKind kind = ChecksumKind::kNone;
  std::unique_ptr<EVP_MD_CTX, Free> digest;
  std::uint32_t crc32 = 0;
  std::uint64_t crc64 = 0;
};

RunningChecksum::RunningChecksum(ChecksumKind kind, std::uint64_t size) : state_(std::make_unique<State>()) {
  state_->kind = kind;
  if (const Row& row = row_of(kind); row.digest != nullptr) {
    state_->digest.reset(EVP_MD_CTX_new());
    if (EVP_DigestInit_ex(state_->digest.get(), row.digest(), nullptr) != 1) {
      throw Error(std::string(row.name) + " is unavailable", "OpenSSL");
    }
  }
  if (kind == ChecksumKind::kGitBlob) {
    const std::string head = "blob " + std::to_string(size);
    EVP_DigestUpdate(state_->digest.get(), head.c_str(), head.size() + 1);
  }
}

RunningChecksum::~RunningChecksum() = default;
RunningChecksum::RunningChecksum(RunningChecksum&&) noexcept = default;
RunningChecksum& RunningChecksum::operator=(RunningChecksum&&) noexcept = default;

void RunningChecksum::update(std::string_view bytes) {
  State& state = *state_;
  if (state.digest) EVP_DigestUpdate(state.digest.get(), bytes.data(), bytes.size());
  if (state.kind == ChecksumKind::kCrc32) {
    state.crc32 = static_cast<std::uint32_t>(
        ::crc32_z(state.crc32, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
  }
  if (state.kind == ChecksumKind::kCrc32c) state.crc32 = update_crc(state.crc32, bytes, kCastagnoli);
  if (state.kind == ChecksumKind::kCrc64Nvme) state.crc64 = update_crc(state.crc64, bytes, kNvme);
}

std::string RunningChecksum::hex() {
  State& state = *state_;
  switch (state.kind) {
    case ChecksumKind::kNone:
      return "";
    case ChecksumKind::kCrc32:
    case ChecksumKind::kCrc32c:
      return hex_of_number(state.crc32, 4);
    case ChecksumKind::kCrc64Nvme:
      return hex_of_number(state.crc64, 8);
    default:
      break;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  EVP_DigestFinal_ex(state.digest.get(), digest.data(), &length);
  return hex_of(digest.data(), length);
}

}  // namespace stepdown::fetch
