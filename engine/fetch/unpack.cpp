#include "engine/fetch/unpack.h"

#include <fstream>
#include <memory>

#include <zlib.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::fetch {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostGrowth = 200;  // JSON shrinks to a tenth, runs of one byte to a thousandth
constexpr std::uint64_t kGrowthAlways = 64 << 20;
constexpr std::size_t kMostFiles = 20'000;
constexpr std::size_t kPiece = 1 << 20;
constexpr std::string_view kDeleted = ".wh.";  // OCI image-spec, "whiteouts"
constexpr std::string_view kDeletedAll = ".wh..wh..opq";

class Inflater {
 public:
  Inflater(const fs::path& path, std::string where) : in_(path, std::ios::binary), where_(std::move(where)) {
    if (!in_) throw Error("cannot open", path.string());
    constexpr int kGzip = 15 + 16;
    if (::inflateInit2(&stream_, kGzip) != Z_OK) throw Error("gzip is unavailable", "zlib");
  }
  ~Inflater() { ::inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  std::size_t read(char* to, std::size_t size) {
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(std::min(size, kPiece));
    const uInt before = stream_.avail_out;
    while (stream_.avail_out == before) {
      if (stream_.avail_in == 0 && !refill()) {
        if (inside_) throw InputError("the gzip data break off", where_);
        return 0;
      }
      if (!inside_) {  // gzip files may follow one another
        ::inflateReset(&stream_);
        inside_ = true;
      }
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        inside_ = false;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        throw InputError("broken gzip data", where_);
      }
    }
    const std::size_t got = before - stream_.avail_out;
    out_ += got;
    if (out_ > kGrowthAlways && out_ / kMostGrowth > in_bytes_) {
      throw InputError("an archive that grows to over 200 times its size", where_);
    }
    return got;
  }

 private:
  bool refill() {
    in_.read(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_in = static_cast<uInt>(in_.gcount());
    in_bytes_ += stream_.avail_in;
    return stream_.avail_in > 0;
  }

  std::ifstream in_;
  std::string where_;
  std::string buffer_ = std::string(kPiece, '\0');
  z_stream stream_{};
  bool inside_ = true;
  std::uint64_t in_bytes_ = 0;
  std::uint64_t out_ = 0;
};

void write_file(TarReader& reader, const fs::path& path) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error || fs::is_directory(path)) {
    throw InputError("both a file and a folder of that name are in the archive", path.string());
  }
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  reader.read_content(
      [&](std::string_view piece) { out.write(piece.data(), static_cast<std::streamsize>(piece.size())); });
  out.flush();
  if (!out) throw Error("cannot write", path.string(), "check permissions and free space");
  out.close();
  sync_to_disk(path);
}

/// Carries out what an image's layer says was deleted; whether the entry says such a thing.
bool take_deletion(const TarEntry& entry, const RemoteFile& layer, const fs::path& tree) {
  if (layer.below.empty()) return false;
  const auto slash = entry.path.rfind('/');
  const std::string name = slash == std::string::npos ? entry.path : entry.path.substr(slash + 1);
  if (!name.starts_with(kDeleted)) return false;
  const std::string folder = slash == std::string::npos ? "" : entry.path.substr(0, slash + 1);
  if (name == kDeletedAll) {
    if (const auto place = place_in_result(folder + "x", layer.below, entry.path)) {
      fs::remove_all((tree / *place).parent_path());
      fs::create_directories(tree);
    }
  } else if (const auto place =
                 place_in_result(folder + name.substr(kDeleted.size()), layer.below, entry.path)) {
    fs::remove_all(tree / *place);
  }
  return true;
}

}  // namespace

ByteReader read_packed(const fs::path& archive, Packing packing, const std::string& where) {
  if (packing == Packing::kTarGzip) {
    auto inflater = std::make_shared<Inflater>(archive, where);
    return [inflater](char* to, std::size_t size) { return inflater->read(to, size); };
  }
  auto in = std::make_shared<std::ifstream>(archive, std::ios::binary);
  if (!*in) throw Error("cannot open", archive.string());
  return [in](char* to, std::size_t size) {
    in->read(to, static_cast<std::streamsize>(size));
    return static_cast<std::size_t>(in->gcount());
  };
}

std::size_t unpack(const fs::path& archive, const RemoteFile& layer, const fs::path& tree,
                   const std::string& where) {
  TarReader reader(read_packed(archive, layer.packing, where), where);
  std::size_t written = 0, entries = 0;
  constexpr std::size_t kMostEntries = 10 * kMostFiles;
  while (const auto entry = reader.next()) {
    if (++entries > kMostEntries) throw InputError("more than 200,000 entries in an archive", where);
    if (take_deletion(*entry, layer, tree)) continue;
    const auto place = place_in_result(entry->path, layer.below, where);
    if (!place || entry->kind == TarEntry::Kind::kFolder) continue;
    if (entry->kind != TarEntry::Kind::kFile) {
      throw InputError("the archive holds a link or a device: " + entry->path.substr(0, 200), where,
                       "pack the files themselves (tar --dereference)");
    }
    if (++written > kMostFiles) throw InputError("more than 20,000 files in an archive", where);
    write_file(reader, tree / *place);
  }
  return written;
}

}  // namespace stepdown::fetch
