#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// Tar archives as they come from outside: ustar, with pax and GNU long names.
namespace stepdown::fetch {

struct TarEntry {
  enum class Kind { kFile, kFolder, kLink, kOther };
  Kind kind = Kind::kFile;
  std::string path;  ///< as the archive names it; nothing was checked
  std::uint64_t size = 0;
};

/// Fills up to `size` bytes at `to`, gives how many; 0: the end.
using ByteReader = std::function<std::size_t(char* to, std::size_t size)>;

class TarReader {
 public:
  /// `where` names the archive in errors.
  TarReader(ByteReader read, std::string where);

  /// The next entry; what is left of the one before is skipped. nullopt: the end. Throws InputError for what
  /// is no tar, and for an archive that breaks off.
  std::optional<TarEntry> next();
  /// The present entry's bytes, piece by piece.
  void read_content(const std::function<void(std::string_view)>& sink);

 private:
  void fill(char* to, std::size_t size);
  std::string read_text(std::uint64_t size);
  void skip();

  ByteReader read_;
  std::string where_;
  std::uint64_t left_ = 0;     ///< of the present entry's content
  std::uint64_t padding_ = 0;  ///< behind it
};

/// Where an entry goes below the result: without "./", and without `below` ("models/"), which it must have.
/// nullopt: it is not taken, being outside of `below`, hidden, or the root. Throws InputError for a path that
/// leads out.
std::optional<std::string> place_in_result(const std::string& path, const std::string& below,
                                           const std::string& where);

}  // namespace stepdown::fetch
