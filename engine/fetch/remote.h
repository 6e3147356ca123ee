#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/fetch/checksum.h"
#include "engine/fetch/credentials.h"
#include "engine/fetch/http.h"
#include "engine/fetch/retry.h"
#include "engine/fetch/source.h"

namespace stepdown::fetch {

/// How a file travels. Packed ones are unpacked at the root of the result, in their order.
enum class Packing { kPlain, kTar, kTarGzip };

struct RemoteFile {
  std::string path;  ///< below the result; of a packed one, what messages call it
  std::uint64_t size = 0;
  Checksum checksum;
  std::string location;  ///< by which its own kind of source finds it
  std::string version;   ///< entity tag that it must still have; empty: location says it all
  Packing packing = Packing::kPlain;
  std::string below;  ///< of a packed one: the folder in it that is taken, "models/"; empty: all

  bool operator==(const RemoteFile&) const = default;
};

struct Listing {
  std::string resolved;  ///< the source, pinned: what the same source said then
  std::string revision;  ///< that pins it; empty where the kind has none
  std::vector<RemoteFile> files;
};

/// What every kind of source works with.
struct Tools {
  const Http& http;
  const Credentials& credentials;
  RetryPolicy retries;
};

/// One source. list() first; then request() and renew() from any thread.
class Remote {
 public:
  virtual ~Remote() = default;

  /// What lies there, by `revision` where it is not empty. Throws InputError for what does not exist or may
  /// not be read.
  virtual Listing list(const std::string& revision) = 0;
  /// What asks for the whole file.
  virtual HttpRequest request(const RemoteFile& file) = 0;
  /// After a 401: gets a new token. False: there is nothing new to try.
  virtual bool renew(const HttpAnswer& refused) = 0;
  /// Throws InputError that says what the answer, which is not a file, means and how to mend it.
  [[noreturn]] virtual void refuse(const HttpAnswer& answer, const std::string& what) const = 0;
};

std::unique_ptr<Remote> open_oci(const Source& source, const Tools& tools);
std::unique_ptr<Remote> open_s3(const Source& source, const Tools& tools);
std::unique_ptr<Remote> open_hugging_face(const Source& source, const Tools& tools);

/// By the table of kinds.
std::unique_ptr<Remote> open_remote(const Source& source, const Tools& tools);

/// Whether a name from outside may become a path below the result: relative, no "..", no hidden part, no
/// control characters, lengths that file systems take.
bool is_safe_path(std::string_view path);

/// Throws InputError unless every path is safe, no two files have the same, none is a folder of another, and
/// there are at most 20,000.
void check_listing(const Listing& listing, const std::string& where);

}  // namespace stepdown::fetch
