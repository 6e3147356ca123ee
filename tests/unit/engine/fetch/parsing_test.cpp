#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/fetch/check_source.h"
#include "engine/fetch/credentials.h"
#include "engine/fetch/download.h"
#include "engine/fetch/source.h"
#include "engine/fetch/sources/hub_tree.h"
#include "engine/fetch/sources/oci_manifest.h"
#include "engine/fetch/sources/oci_reference.h"
#include "engine/fetch/sources/s3_listing.h"
#include "engine/fetch/url.h"

namespace stepdown::fetch {
namespace {

using testing::HasSubstr;

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Url, PartsAndWhatIsNone) {
  const auto url = parse_url("HTTPS://Example.com:8443/a/b?c=d#e");
  ASSERT_TRUE(url);
  EXPECT_EQ(*url, (Url{true, "example.com", 8443, "/a/b?c=d"}));
  EXPECT_EQ(url->text(), "https://example.com:8443/a/b?c=d");
  EXPECT_EQ(parse_url("http://[::1]:80")->origin(), "http://[::1]");
  for (const char* wrong :
       {"ftp://x", "https://", "https://user:secret@host/", "https://host:0/", "https://host:70000",
        "https://ho st/", "https://host/\r\nX: y", "//host", "https://[::1", "https://host:8x"}) {
    EXPECT_FALSE(parse_url(wrong)) << wrong;
  }
}

TEST(Url, RedirectsAreResolvedAgainstWhoAnswered) {
  const Url base = *parse_url("https://a.example/x/y");
  EXPECT_EQ(resolve(base, "/z?1")->text(), "https://a.example/z?1");
  EXPECT_EQ(resolve(base, "//b.example/z")->text(), "https://b.example/z");
  EXPECT_EQ(resolve(base, "http://c.example")->text(), "http://c.example/");
  EXPECT_FALSE(resolve(base, "z"));
  EXPECT_FALSE(base.same_origin(*resolve(base, "https://a.example:444/")));
}

TEST(Source, KindsAndOptions) {
  const Source source = parse_source("s3://bucket/a/b/?endpoint=http://minio:9000&region=eu-west-1");
  EXPECT_EQ(source.kind, "s3");
  EXPECT_EQ(source.path, "bucket/a/b");
  EXPECT_EQ(source.option("endpoint"), "http://minio:9000");
  EXPECT_EQ(source.option("style"), "");
  EXPECT_TRUE(parse_source("oci+http://registry:5000/a:b").plain);
  EXPECT_TRUE(is_remote("hf://a/b"));
  EXPECT_FALSE(is_remote("file:///a"));
  EXPECT_FALSE(is_remote("s3+http://a"));
  for (const char* wrong : {"http://x/y", "oci://", "oci://a/b?region=x", "hf://a/b?style=path", "s3://a?b",
                            "s3://a b", "hf:///"}) {
    EXPECT_NE(error_of([&] { parse_source(wrong); }), "") << wrong;
  }
}

TEST(Source, IsCheckedWithoutAskingAnybody) {
  for (const char* good :
       {"oci://ghcr.io/org/model:v1", "oci+http://r:5000/m", "s3://bucket/a?region=eu-west-1",
        "hf://org/model@v2", "hf://datasets/org/prompts/data/heldout.jsonl"}) {
    EXPECT_EQ(error_of([&] { check_source(good); }), "") << good;
  }
  for (const char* wrong : {"oci://ghcr.io/Org/model", "oci://model", "s3://.b/a", "s3://b?zone=1",
                            "hf://model", "pvc://claim/a"}) {
    EXPECT_NE(error_of([&] { check_source(wrong); }), "") << wrong;
  }
}

TEST(OciReference, TagsDigestsAndDefaults) {
  const std::string digest = "sha256:" + std::string(64, 'a');
  EXPECT_EQ(parse_oci_reference("ghcr.io/org/model").tag, "latest");
  EXPECT_EQ(parse_oci_reference("localhost:5000/model:v1").host, "localhost:5000");
  const OciReference both = parse_oci_reference("ghcr.io/org/model:v1@" + digest);
  EXPECT_EQ(both.reference(), digest);
  EXPECT_EQ(both.repository, "org/model");
  EXPECT_EQ(parse_oci_reference("docker.io/model:v1").repository, "library/model");
  EXPECT_EQ(parse_oci_reference("docker.io/model:v1").host, "registry-1.docker.io");
  for (const char* wrong : {"model:v1", "/model", "ghcr.io/Org/model", "ghcr.io/a//b", "ghcr.io/a/../b",
                            "ghcr.io/a:", "ghcr.io/a@sha256:1", "ghcr.io/a@md5:1", "ghcr.io/a:b c"}) {
    EXPECT_NE(error_of([&] { parse_oci_reference(wrong); }), "") << wrong;
  }
}

TEST(OciReference, Challenges) {
  const Challenge challenge = parse_challenge(
      R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",Scope="repository:a/b:pull,push",error=x)");
  EXPECT_EQ(challenge.scheme, "bearer");
  EXPECT_EQ(challenge.parameters.at("realm"), "https://auth.docker.io/token");
  EXPECT_EQ(challenge.parameters.at("scope"), "repository:a/b:pull,push");
  EXPECT_EQ(challenge.parameters.at("error"), "x");
  EXPECT_EQ(parse_challenge("Basic realm=\"a \\\"b\\\"\"").parameters.at("realm"), "a \"b\"");
  EXPECT_EQ(parse_challenge("").scheme, "");
}

constexpr const char* kDigest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

std::string manifest(const std::string& type, const std::string& annotations) {
  return R"({"layers": [{"mediaType": ")" + type + R"(", "digest": ")" + kDigest +
         R"(", "size": 7, "annotations": {)" + annotations + "}}]}";
}

TEST(OciManifest, NamesOfLayers) {
  struct Case {
    std::string type, annotations, path;
    Packing packing;
  };
  for (const Case& each : {
           Case{"application/vnd.cncf.model.weight.v1.raw", R"("org.cncf.model.filepath": "a/b.gguf")",
                "a/b.gguf", Packing::kPlain},
           Case{"application/vnd.cncf.model.weight.v1.tar+gzip", R"("org.cncf.model.filepath": "a")", kDigest,
                Packing::kTarGzip},
           Case{"application/vnd.oci.image.layer.v1.tar", R"("org.opencontainers.image.title": "c.json")",
                "c.json", Packing::kPlain},
           Case{"application/vnd.oci.image.layer.v1.tar", R"("org.opencontainers.image.title": "c.tar")",
                kDigest, Packing::kTar},
           Case{"application/vnd.ollama.image.model", "", "model.gguf", Packing::kPlain},
           Case{"application/vnd.docker.ai.gguf.v3", "", "model.gguf", Packing::kPlain},
       }) {
    const auto files = read_layers(manifest(each.type, each.annotations), "x");
    ASSERT_EQ(files.size(), 1U) << each.type;
    EXPECT_EQ(files[0].path, each.path) << each.type;
    EXPECT_EQ(files[0].packing, each.packing) << each.type;
    EXPECT_EQ(files[0].size, 7U);
  }
  EXPECT_THAT(error_of([] { read_layers(manifest("application/x", ""), "x"); }), HasSubstr("without a name"));
  EXPECT_THAT(
      error_of([] { read_layers(manifest("application/vnd.cncf.model.weight.v1.tar+zstd", ""), "x"); }),
      HasSubstr("zstd"));
  EXPECT_THAT(error_of([] { read_layers(R"({"fsLayers": []})", "x"); }), HasSubstr("without layers"));
  EXPECT_THAT(error_of([] { read_layers(R"({"layers": [{"digest": "sha512:a", "size": 1}]})", "x"); }),
              HasSubstr("sha256"));
  EXPECT_THAT(error_of([] { read_layers("[", "x"); }), HasSubstr("not JSON"));
}

TEST(OciManifest, ChoosesFromAnIndex) {
  const auto entry = [](char digit, const std::string& architecture) {
    return R"({"digest": "sha256:)" + std::string(64, digit) + R"(", "platform": {"architecture": ")" +
           architecture + "\"}}";
  };
  const auto index = [](const std::string& entries) { return R"({"manifests": [)" + entries + "]}"; };
  EXPECT_EQ(choose_manifest(index(entry('1', "arm64") + "," + entry('2', "amd64")), "amd64", "x"),
            "sha256:" + std::string(64, '2'));
  EXPECT_EQ(choose_manifest(index(entry('1', "arm64") + "," + entry('2', "unknown")), "amd64", "x"),
            "sha256:" + std::string(64, '1'));
  EXPECT_THAT(error_of([&] {
                choose_manifest(index(entry('1', "arm64") + "," + entry('2', "s390x")), "amd64", "x");
              }),
              HasSubstr("none of them for amd64"));
  EXPECT_NE(error_of([&] { choose_manifest(index(""), "amd64", "x"); }), "");
  EXPECT_FALSE(choose_manifest(R"({"layers": []})", "amd64", "x"));
}

TEST(S3Listing, KeysSizesAndPages) {
  const S3Page page = read_s3_listing(
      "<?xml version=\"1.0\"?><ListBucketResult "
      "xmlns=\"x\"><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
      "<Contents><Key>a%20b%2Bc+d</Key><ETag>&quot;e1&quot;</ETag><Size>12</Size></Contents>"
      "<Contents><Key>z&amp;</Key><Size>0</Size></Contents><NextContinuationToken>t</NextContinuationToken></"
      "ListBucketResult>",
      "x");
  ASSERT_EQ(page.objects.size(), 2U);
  EXPECT_EQ(page.objects[0].key, "a b+c d");
  EXPECT_EQ(page.objects[0].etag, "e1");
  EXPECT_EQ(page.objects[0].size, 12U);
  EXPECT_EQ(page.objects[1].key, "z&");
  EXPECT_EQ(page.next, "t");
  EXPECT_EQ(read_s3_error("<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"), "NoSuchKey: gone");
  EXPECT_NE(error_of([] { read_s3_listing("<html>", "x"); }), "");
  EXPECT_NE(error_of([] {
              read_s3_listing("<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents>", "x");
            }),
            "");
}

TEST(HubTree, NamesFilesAndPages) {
  const HubName name = parse_hub_name("datasets/org/prompts@refs/pr/3/data/x.jsonl", "x");
  EXPECT_TRUE(name.dataset);
  EXPECT_EQ(name.repository, "org/prompts");
  EXPECT_EQ(name.revision, "refs/pr/3");
  EXPECT_EQ(name.path, "data/x.jsonl");
  for (const char* wrong : {"name", "a/", "/b", "a/b@", "a/b/../c", "a/b/.git", ".a/b", "a/b c"}) {
    EXPECT_NE(error_of([&] { parse_hub_name(wrong, "x"); }), "") << wrong;
  }
  const auto files = read_hub_tree(
      R"([{"type": "directory", "path": "d"}, {"type": "file", "path": "a.json", "size": 3, "oid": ")" +
          std::string(40, 'b') +
          R"("}, {"type": "file", "path": "m.safetensors", "size": 130, "oid": "x", "lfs": {"oid": ")" +
          std::string(64, 'c') + R"(", "size": 99}}])",
      "x");
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].checksum, (Checksum{ChecksumKind::kGitBlob, std::string(40, 'b')}));
  EXPECT_EQ(files[1].checksum, (Checksum{ChecksumKind::kSha256, std::string(64, 'c')}));
  EXPECT_EQ(files[1].size, 99U);
  EXPECT_NE(error_of([] { read_hub_tree(R"({"error": "x"})", "x"); }), "");
  EXPECT_EQ(next_link(R"(<https://h/prev>; rel="prev", <https://h/next?cursor=1>; rel="next")"),
            "https://h/next?cursor=1");
  EXPECT_EQ(next_link(R"(<https://h/prev>; rel="prev")"), "");
}

TEST(Paths, OnlyThoseBelowTheResult) {
  EXPECT_TRUE(is_safe_path("a/b-c_d.e"));
  for (const char* wrong : {"", "/a", "a//b", "a/", "..", "a/../b", ".a", "a/.b", "a\\b", "a\nb"})
    EXPECT_FALSE(is_safe_path(wrong)) << wrong;
  EXPECT_NE(error_of([] { check_listing({.files = {{.path = "a"}, {.path = "a"}}}, "x"); }), "");
  EXPECT_NE(error_of([] { check_listing({.files = {{.path = "a"}, {.path = "a/b"}}}, "x"); }), "");
}

TEST(Credentials, TheLoginWhoseNameIsLongest) {
  const std::string config =
      R"({"auths": {"ghcr.io": {"auth": "YTpi"}, "ghcr.io/org": {"username": "c", "password": "d"},
                                           "https://index.docker.io/v1/": {"auth": "ZTpm"}, "gcr.io": {"identitytoken": "t"}, "odd": 3}})";
  EXPECT_EQ(login_in_docker_config(config, "ghcr.io", "other/model").username, "a");
  EXPECT_EQ(login_in_docker_config(config, "ghcr.io", "org/model").username, "c");
  EXPECT_EQ(login_in_docker_config(config, "registry-1.docker.io", "library/x").password, "f");
  EXPECT_EQ(login_in_docker_config(config, "gcr.io", "x").identity_token, "t");
  EXPECT_TRUE(login_in_docker_config(config, "ghcr.io.evil.example", "x").empty());
  EXPECT_NE(error_of([] { login_in_docker_config("[", "x", "y"); }), "");
}

TEST(Download, ContentRanges) {
  EXPECT_EQ(parse_content_range("bytes 5-9/10")->first, 5U);
  EXPECT_EQ(parse_content_range("bytes 5-9/10")->total, 10U);
  for (const char* wrong : {"", "bytes */10", "bytes 5-9/*", "items 5-9/10", "bytes -9/10", "bytes 5/10"})
    EXPECT_FALSE(parse_content_range(wrong)) << wrong;
}

}  // namespace
}  // namespace stepdown::fetch
