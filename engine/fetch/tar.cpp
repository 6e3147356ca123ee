#include "engine/fetch/tar.h"

#include <algorithm>
#include <array>

#include "engine/base/error.h"
#include "engine/fetch/remote.h"

namespace stepdown::fetch {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::uint64_t kLongestExtension = 1 << 20;  // of a pax header or a GNU long name
constexpr std::size_t kPiece = 256 << 10;

using Block = std::array<char, kBlock>;

struct Field {
  std::size_t from;
  std::size_t size;
};
constexpr Field kName{0, 100}, kSize{124, 12}, kChecksum{148, 8}, kPrefix{345, 155};
constexpr std::size_t kType = 156, kMagic = 257;

std::string text_of(const Block& block, Field field) {
  const std::string_view all(block.data() + field.from, field.size);
  return std::string(all.substr(0, all.find('\0')));
}

/// Octal digits, or GNU's base 256 for what they cannot hold. nullopt: neither.
std::optional<std::uint64_t> number_of(const Block& block, Field field) {
  std::uint64_t value = 0;
  const auto first = static_cast<unsigned char>(block[field.from]);
  if ((first & 0x80U) != 0) {
    if (first != 0x80U) return std::nullopt;  // negative, or beyond 2^88
    for (std::size_t i = 1; i < field.size; ++i) {
      if (value >> 55U != 0) return std::nullopt;
      value = value << 8U | static_cast<unsigned char>(block[field.from + i]);
    }
    return value;
  }
  bool digits = false;
  for (std::size_t i = 0; i < field.size; ++i) {
    const char c = block[field.from + i];
    if (c == ' ' && !digits) continue;
    if (c == ' ' || c == '\0') break;
    if (c < '0' || c > '7') return std::nullopt;
    digits = true;
    value = value * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

bool checksum_holds(const Block& block) {
  const auto told = number_of(block, kChecksum);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const bool own = i >= kChecksum.from && i < kChecksum.from + kChecksum.size;
    sum += own ? static_cast<unsigned char>(' ') : static_cast<unsigned char>(block[i]);
  }
  return told && *told == sum;
}

/// Records "<length> <key>=<value>\n" of a pax header; path and size alone matter.
struct Extension {
  std::string path;
  std::optional<std::uint64_t> size;
};

Extension read_pax(std::string_view text, const std::string& where) {
  Extension out;
  constexpr std::size_t kDigits = 18;
  const auto number = [&](std::string_view digits) {
    if (digits.empty() || digits.size() > kDigits ||
        digits.find_first_not_of("0123456789") != std::string_view::npos) {
      throw InputError("a broken pax header", where);
    }
    return std::stoull(std::string(digits));
  };
  while (!text.empty()) {
    const auto space = text.find(' ');
    if (space == std::string_view::npos) throw InputError("a broken pax header", where);
    const std::uint64_t length = number(text.substr(0, space));
    if (length <= space + 1 || length > text.size() || text[length - 1] != '\n') {
      throw InputError("a broken pax header", where);
    }
    const std::string_view record = text.substr(space + 1, length - space - 2);
    const auto equals = record.find('=');
    const std::string_view key = record.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : record.substr(equals + 1);
    if (key == "path") out.path = std::string(value);
    if (key == "size") out.size = number(value);
    if (key.starts_with("GNU.sparse")) throw InputError("a sparse file", where, "pack it without --sparse");
    text.remove_prefix(length);
  }
  return out;
}

TarEntry::Kind kind_of(char type) {
  switch (type) {
    case '\0':
    case '0':
    case '7':
      return TarEntry::Kind::kFile;
    case '5':
      return TarEntry::Kind::kFolder;
    case '1':
    case '2':
      return TarEntry::Kind::kLink;
    default:
      return TarEntry::Kind::kOther;
  }
}

}  // namespace

TarReader::TarReader(ByteReader read, std::string where) : read_(std::move(read)), where_(std::move(where)) {}

void TarReader::fill(char* to, std::size_t size) {
  while (size > 0) {
    const std::size_t got = read_(to, size);
    if (got == 0) throw InputError("the archive breaks off", where_);
    to += got;
    size -= got;
  }
}

std::string TarReader::read_text(std::uint64_t size) {
  if (size > kLongestExtension) throw InputError("a name of over 1 MiB in the archive", where_);
  std::string text(size, '\0');
  fill(text.data(), text.size());
  left_ = 0;
  padding_ = (kBlock - size % kBlock) % kBlock;
  skip();
  return text;
}

void TarReader::read_content(const std::function<void(std::string_view)>& sink) {
  std::string piece(std::min<std::uint64_t>(left_, kPiece), '\0');
  while (left_ > 0) {
    const std::size_t size = std::min<std::uint64_t>(left_, piece.size());
    fill(piece.data(), size);
    left_ -= size;
    sink(std::string_view(piece).substr(0, size));
  }
}

void TarReader::skip() {
  read_content([](std::string_view) {});
  Block rest;
  fill(rest.data(), padding_);
  padding_ = 0;
}

std::optional<TarEntry> TarReader::next() {
  skip();
  Extension extension;
  for (;;) {
    Block block;
    const std::size_t got = read_(block.data(), kBlock);
    if (got == 0) return std::nullopt;  // some writers leave the two empty blocks at the end out
    fill(block.data() + got, kBlock - got);
    if (std::ranges::all_of(block, [](char c) { return c == '\0'; })) {
      while (read_(block.data(), kBlock) > 0) {
      }
      return std::nullopt;
    }
    const auto size = number_of(block, kSize);
    if (!checksum_holds(block) || !size) throw InputError("not a tar archive", where_);
    const char type = block[kType];
    if (type == 'x') {
      extension = read_pax(read_text(*size), where_);
      continue;
    }
    if (type == 'L') {
      extension.path = read_text(*size);
      extension.path.resize(std::min(extension.path.find('\0'), extension.path.size()));
      continue;
    }
    if (type == 'g' || type == 'K') {
      read_text(*size);
      continue;
    }
    if (type == 'S') throw InputError("a sparse file", where_, "pack it without --sparse");
    TarEntry entry{
        .kind = kind_of(type), .path = text_of(block, kName), .size = extension.size.value_or(*size)};
    const bool ustar = std::string_view(block.data() + kMagic, 6) == std::string_view("ustar\0", 6);
    if (const std::string prefix = text_of(block, kPrefix); ustar && !prefix.empty()) {
      entry.path = prefix + "/" + entry.path;
    }
    if (!extension.path.empty()) entry.path = extension.path;
    if (entry.kind != TarEntry::Kind::kFile) entry.size = 0;  // links may tell a size and have no content
    left_ = entry.size;
    padding_ = (kBlock - entry.size % kBlock) % kBlock;
    return entry;
  }
}

std::optional<std::string> place_in_result(const std::string& path, const std::string& below,
                                           const std::string& where) {
  std::string_view rest = path;
  while (rest.starts_with("./")) rest.remove_prefix(2);
  if (!below.empty()) {
    while (rest.starts_with('/')) rest.remove_prefix(1);  // of an image, "/" is its own root
    if (!rest.starts_with(below)) return std::nullopt;
    rest.remove_prefix(below.size());
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty() || rest == ".") return std::nullopt;
  const std::string whole = "/" + std::string(rest) + "/";
  const bool leads_out = rest.starts_with('/') || whole.find("/../") != std::string::npos;
  const bool hidden = whole.find("/.") != std::string::npos;
  if (!leads_out && hidden) return std::nullopt;
  if (leads_out || !is_safe_path(rest)) {
    throw InputError("the archive holds a path that leads out of it: " + path.substr(0, 200), where);
  }
  return std::string(rest);
}

}  // namespace stepdown::fetch
