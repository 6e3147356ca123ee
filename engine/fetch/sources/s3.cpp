#include <array>
#include <ctime>
#include <mutex>

#include "engine/fetch/remote.h"
#include "engine/fetch/sources/s3_listing.h"
#include "engine/fetch/sources/s3_name.h"
#include "engine/fetch/sources/signature_v4.h"

/// Object stores that speak S3: AWS, MinIO, Ceph, R2, GCS' interoperability.
namespace stepdown::fetch {
namespace {

constexpr std::size_t kLongestPage = 16 << 20;
constexpr int kMostPages = 50;

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc);
  return {text.data(), length};
}

/// Bytes of a checksum header's base64, by its kind.
struct ChecksumHeader {
  const char* name;
  ChecksumKind kind;
  std::size_t bytes;
};
constexpr std::array<ChecksumHeader, 4> kChecksums = {{
    {"x-amz-checksum-sha256", ChecksumKind::kSha256, 32},
    {"x-amz-checksum-crc64nvme", ChecksumKind::kCrc64Nvme, 8},
    {"x-amz-checksum-crc32c", ChecksumKind::kCrc32c, 4},
    {"x-amz-checksum-crc32", ChecksumKind::kCrc32, 4},
}};

bool is_md5(const std::string& etag) {
  constexpr std::size_t kHexDigits = 32;
  return etag.size() == kHexDigits && etag.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string unquoted(const std::string& etag) {
  return etag.size() >= 2 && etag.front() == '"' && etag.back() == '"' ? etag.substr(1, etag.size() - 2)
                                                                       : etag;
}

/// What the store says the whole object adds up to: a composite one is of its parts and no use.
Checksum checksum_of(const HttpAnswer& head) {
  const std::string etag = unquoted(head.header("etag"));
  const bool in_parts = etag.find('-') != std::string::npos;
  const std::string type = head.header("x-amz-checksum-type");
  const bool of_whole = type == "FULL_OBJECT" || (type.empty() && !in_parts);
  for (const ChecksumHeader& known : kChecksums) {
    if (!of_whole) break;
    if (std::string hex = hex_of_base64(head.header(known.name), known.bytes); !hex.empty()) {
      return {known.kind, std::move(hex)};
    }
  }
  const std::string encryption = head.header("x-amz-server-side-encryption");
  const bool plain_etag = (encryption.empty() || encryption == "AES256") &&
                          head.header("x-amz-server-side-encryption-customer-algorithm").empty();
  return plain_etag && is_md5(etag) ? Checksum{ChecksumKind::kMd5, etag} : Checksum{};
}

class S3Bucket final : public Remote {
 public:
  S3Bucket(const Source& source, const Tools& tools) : source_(source), tools_(tools) {
    S3Name name = parse_s3_name(source.path, source.text);
    bucket_ = std::move(name.bucket);
    prefix_ = std::move(name.prefix);
    keys_ = {tools.credentials.value("AWS_ACCESS_KEY_ID"), tools.credentials.value("AWS_SECRET_ACCESS_KEY"),
             tools.credentials.value("AWS_SESSION_TOKEN")};
    region_ = source.option("region");
    for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
      if (region_.empty()) region_ = tools.credentials.value(name);
    }
    if (region_.empty()) region_ = "us-east-1";
    endpoint_ = source.option("endpoint");
    for (const char* name : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
      if (endpoint_.empty()) endpoint_ = tools.credentials.value(name);
    }
    const std::string style = source.option("style");
    if (!style.empty() && style != "path" && style != "virtual") {
      throw InputError("style is path or virtual, not " + style, source.text);
    }
    // Stores other than AWS rarely have a name for each bucket; a dot in it fits no wildcard certificate.
    virtual_host_ =
        style == "virtual" || (style.empty() && endpoint_.empty() && bucket_.find('.') == std::string::npos);
  }

  Listing list(const std::string& revision) override {
    if (!revision.empty()) {
      throw InputError("s3 has no revisions", source_.text, "pin what the files add up to by --digest");
    }
    Listing out{.resolved = source_.text};
    if (!prefix_.empty()) {
      if (auto one = head(prefix_, prefix_.substr(prefix_.rfind('/') + 1))) {
        out.files.push_back(std::move(*one));
        return out;
      }
    }
    for (const S3Object& object : list_objects()) {
      const std::string path = object.key.substr(prefix_.empty() ? 0 : prefix_.size() + 1);
      if (path.ends_with('/') || path.empty() || path.starts_with('.') ||
          path.find("/.") != std::string::npos) {
        continue;  // folders as consoles make them, and hidden files, which no digest counts
      }
      auto file = head(object.key, path);
      if (!file) throw Error("the object vanished: " + object.key, source_.text, "run again");
      out.files.push_back(std::move(*file));
    }
    if (out.files.empty()) {
      throw InputError("no object lies there", source_.text, "check bucket and prefix");
    }
    return out;
  }

  HttpRequest request(const RemoteFile& file) override {
    HttpRequest out = ask_for("GET", file.location, {});
    if (!file.version.empty()) out.headers["If-Match"] = file.version;
    return out;
  }

  bool renew(const HttpAnswer& /*refused*/) override { return false; }

  [[noreturn]] void refuse(const HttpAnswer& answer, const std::string& what) const override {
    const std::string said = read_s3_error(answer.body);
    const std::string told = said.empty() ? "HTTP " + std::to_string(answer.status) : said;
    if (answer.status == 412) throw Error(what + " changed while it was fetched", source_.text, "run again");
    if (answer.status == 401 || answer.status == 403) {
      throw InputError("the store refuses " + what + " (" + told + ")", source_.text,
                       keys_.empty()
                           ? "name a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in secretRef"
                           : "check the keys, and their right to list and get (s3:ListBucket, s3:GetObject)");
    }
    if (answer.status == 404) {
      throw InputError("the store has no " + what + " (" + told + ")", source_.text,
                       "check bucket and prefix");
    }
    if (answer.status == 301 || answer.status == 307 || answer.status == 400) {
      const std::string region = answer.header("x-amz-bucket-region");
      throw InputError("the store refuses " + what + " (" + told + ")", source_.text,
                       region.empty() ? "check endpoint and region" : "the bucket is in region " + region);
    }
    throw Error("the store answers " + told + " for " + what, source_.text);
  }

 private:
  Url root() const {
    const std::string text = endpoint_.empty() ? "https://s3." + region_ + ".amazonaws.com" : endpoint_;
    Url url = url_of(text, source_.text);
    if (virtual_host_) url.host = bucket_ + "." + url.host;
    while (url.target.ends_with('/')) url.target.pop_back();
    return url;
  }

  HttpRequest ask_for(const std::string& method, const std::string& key,
                      const std::map<std::string, std::string>& query) {
    HttpRequest out{.method = method, .url = root(), .follow = false};
    std::string path = out.url.target;
    if (!virtual_host_) path += "/" + bucket_;
    path += "/" + percent_encode(key, /*keep_slashes=*/true);
    if (path.size() > 1 && key.empty() && !virtual_host_) path.pop_back();
    SignedParts parts{.method = method, .host = out.url.authority(), .path = path, .query = query};
    if (method == "HEAD") parts.headers["x-amz-checksum-mode"] = "ENABLED";
    {
      const std::lock_guard lock(mutex_);
      parts.region = region_;
    }
    parts.time = now_text();
    out.url.target = path + (query.empty() ? "" : "?" + canonical_query(query));
    out.headers = keys_.empty() ? parts.headers : sign(parts, keys_);
    return out;
  }

  /// The answer; asked once more in the bucket's own region where the store names it.
  HttpAnswer ask(const std::string& method, const std::string& key,
                 const std::map<std::string, std::string>& query) {
    const auto once = [&] {
      return ask_patiently(
          tools_.http, tools_.retries, [&] { return ask_for(method, key, query); }, kLongestPage);
    };
    HttpAnswer answer = once();
    const std::string region = answer.header("x-amz-bucket-region");
    const bool elsewhere =
        answer.status == 301 || answer.status == 307 || answer.status == 400 || answer.status == 403;
    if (!elsewhere || region.empty() || region == region_ || region.size() > 64 ||
        region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
      return answer;
    }
    {
      const std::lock_guard lock(mutex_);
      region_ = region;
    }
    return once();
  }

  /// nullopt: there is no object of that key.
  std::optional<RemoteFile> head(const std::string& key, const std::string& path) {
    const HttpAnswer answer = ask("HEAD", key, {});
    if (answer.status == 404) return std::nullopt;
    // Without the right to list, a store says 403 for what does not exist; listing tells more.
    if (answer.status == 403 && key == prefix_) return std::nullopt;
    if (answer.status != 200) refuse(answer, key);
    const auto size = answer.length();
    if (!size) throw Error("an object without a size: " + key, source_.text);
    return RemoteFile{.path = path,
                      .size = *size,
                      .checksum = checksum_of(answer),
                      .location = key,
                      .version = answer.header("etag")};
  }

  std::vector<S3Object> list_objects() {
    std::vector<S3Object> out;
    std::map<std::string, std::string> query = {{"list-type", "2"}, {"encoding-type", "url"}};
    if (!prefix_.empty()) query["prefix"] = prefix_ + "/";
    for (int page = 0; page < kMostPages; ++page) {
      const HttpAnswer answer = ask("GET", "", query);
      if (answer.status != 200) refuse(answer, "the listing of " + bucket_);
      S3Page found = read_s3_listing(answer.body, source_.text);
      for (S3Object& object : found.objects) {
        if (prefix_.empty() || object.key.starts_with(prefix_ + "/")) out.push_back(std::move(object));
      }
      if (found.next.empty()) return out;
      query["continuation-token"] = found.next;
    }
    throw InputError("more than " + std::to_string(kMostPages) + " pages of objects", source_.text,
                     "name the folder that holds the model");
  }

  const Source source_;
  const Tools tools_;
  std::string bucket_;
  std::string prefix_;
  std::string endpoint_;
  std::string region_;
  AwsKeys keys_;
  bool virtual_host_ = false;
  std::mutex mutex_;
};

}  // namespace

std::unique_ptr<Remote> open_s3(const Source& source, const Tools& tools) {
  return std::make_unique<S3Bucket>(source, tools);
}

}  // namespace stepdown::fetch
