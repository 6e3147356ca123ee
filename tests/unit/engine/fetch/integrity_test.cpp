#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/fetch/checksum.h"
#include "engine/fetch/retry.h"
#include "engine/fetch/sources/signature_v4.h"
#include "engine/fetch/tar.h"

namespace stepdown::fetch {
namespace {

std::string sum(ChecksumKind kind, const std::string& text) {
  RunningChecksum checksum(kind, text.size());
  checksum.update(std::string_view(text).substr(0, text.size() / 3));  // pieces of any length
  checksum.update(std::string_view(text).substr(text.size() / 3));
  return checksum.hex();
}

TEST(Checksum, KnownValues) {
  const std::string digits = "123456789";  // the check value of each CRC's catalogue entry
  EXPECT_EQ(sum(ChecksumKind::kCrc32, digits), "cbf43926");
  EXPECT_EQ(sum(ChecksumKind::kCrc32c, digits), "e3069283");
  EXPECT_EQ(sum(ChecksumKind::kCrc64Nvme, digits), "ae8b14860a799888");
  EXPECT_EQ(sum(ChecksumKind::kMd5, ""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(sum(ChecksumKind::kSha256, "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sum(ChecksumKind::kGitBlob, "hello\n"),
            "ce013625030ba8dba906f756967f9e9ca394464a");  // git hash-object
  EXPECT_EQ(sum(ChecksumKind::kNone, "x"), "");
  EXPECT_EQ(hex_of_base64("y/Q5Jg==", 4), "cbf43926");
  EXPECT_EQ(hex_of_base64("y/Q5Jg==-3", 4), "");
  EXPECT_EQ(hex_of_base64("????????", 4), "");
}

TEST(SignatureV4, TheExamplesOfAmazonS3sReference) {
  const AwsKeys keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
  const SignedParts get{.host = "examplebucket.s3.amazonaws.com",
                        .path = "/test.txt",
                        .query = {},
                        .headers = {{"range", "bytes=0-9"}},
                        .region = "us-east-1",
                        .time = "20130524T000000Z"};
  EXPECT_THAT(
      sign(get, keys).at("Authorization"),
      testing::HasSubstr("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
  const SignedParts list{.host = "examplebucket.s3.amazonaws.com",
                         .path = "/",
                         .query = {{"max-keys", "2"}, {"prefix", "J"}},
                         .region = "us-east-1",
                         .time = "20130524T000000Z"};
  EXPECT_THAT(
      sign(list, keys).at("Authorization"),
      testing::HasSubstr("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"));
}

TEST(Retry, AfterANumberOrADate) {
  using std::chrono::seconds;
  const auto now = std::chrono::system_clock::from_time_t(1'700'000'000);  // Tue, 14 Nov 2023 22:13:20 GMT
  EXPECT_EQ(parse_retry_after("120", now), seconds(120));
  EXPECT_EQ(parse_retry_after("Tue, 14 Nov 2023 22:13:50 GMT", now), seconds(30));
  EXPECT_EQ(parse_retry_after("Tue, 14 Nov 2023 22:00:00 GMT", now), seconds(0));
  for (const char* wrong : {"", "-1", "soon", "1.5", "99999999999999"})
    EXPECT_FALSE(parse_retry_after(wrong, now)) << wrong;
}

TEST(Retry, DoublesUpToALimitAndEnds) {
  using std::chrono::milliseconds;
  Backoff backoff({.tries = 5, .first = milliseconds(100), .longest = milliseconds(300)});
  EXPECT_EQ(backoff.next(std::nullopt, 0), milliseconds(50));
  EXPECT_EQ(backoff.next(std::nullopt, 0), milliseconds(100));
  EXPECT_EQ(backoff.next(std::nullopt, 0), milliseconds(150));
  backoff.progressed();
  EXPECT_EQ(backoff.next(std::chrono::seconds(7), 0.5), milliseconds(7000));
  EXPECT_FALSE(backoff.next(std::chrono::seconds(7000), 0.5)) << "a day is no pause";
  EXPECT_TRUE(backoff.next(std::nullopt, 0));
  EXPECT_TRUE(backoff.next(std::nullopt, 0));
  EXPECT_FALSE(backoff.next(std::nullopt, 0));
}

std::string header(const std::string& name, std::size_t size, char type) {
  std::string block(512, '\0');
  block.replace(0, name.size(), name);
  char octal[13];
  std::snprintf(octal, sizeof octal, "%011zo", size);
  block.replace(124, 11, octal);
  block[156] = type;
  block.replace(257, 6, std::string("ustar\0", 6));
  block.replace(148, 8, "        ");
  unsigned total = 0;
  for (const char c : block) total += static_cast<unsigned char>(c);
  std::snprintf(octal, sizeof octal, "%06o", total);
  block.replace(148, 6, octal);
  block[154] = '\0';
  return block;
}

std::string padded(std::string content) {
  content.resize((content.size() + 511) / 512 * 512, '\0');
  return content;
}

std::vector<std::pair<std::string, std::string>> entries_of(const std::string& archive) {
  std::size_t at = 0;
  TarReader reader(
      [&](char* to, std::size_t size) {
        const std::size_t got = std::min(size, archive.size() - at);
        archive.copy(to, got, at);
        at += got;
        return got;
      },
      "x");
  std::vector<std::pair<std::string, std::string>> out;
  while (const auto entry = reader.next()) {
    out.emplace_back(entry->path, "");
    if (out.size() % 2 == 1) reader.read_content([&](std::string_view piece) { out.back().second += piece; });
  }
  return out;
}

TEST(Tar, NamesOfEveryKind) {
  const std::string path_record = [] {
    std::string record = " path=long/name\n";
    return std::to_string(record.size() + 2) + record;
  }();
  const std::string archive = header("a", 3, '0') + padded("abc") + header("skipped", 600, '0') +
                              padded(std::string(600, 'x')) + header("pax", path_record.size(), 'x') +
                              padded(path_record) + header("short", 2, '0') + padded("de") +
                              std::string(1024, '\0');
  const auto entries = entries_of(archive);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0], (std::pair<std::string, std::string>("a", "abc")));
  EXPECT_EQ(entries[2], (std::pair<std::string, std::string>("long/name", "de")));
}

TEST(Tar, BrokenOnesAreRefused) {
  EXPECT_THROW(entries_of(std::string(512, 'x')), InputError);
  EXPECT_THROW(entries_of(header("a", 3, '0') + "ab"), InputError);
  EXPECT_THROW(entries_of(header("a", 3, '0').substr(0, 100)), InputError);
  EXPECT_THROW(entries_of(header("a", 9, 'x') + padded("99 path=a")), InputError);
  EXPECT_THROW(entries_of(header("a", 1 << 24, 'L')), InputError);
  EXPECT_TRUE(entries_of("").empty());
}

TEST(Tar, Places) {
  EXPECT_EQ(place_in_result("./a/b", "", "x"), "a/b");
  EXPECT_EQ(place_in_result("models/a", "models/", "x"), "a");
  EXPECT_EQ(place_in_result("/models/a/", "models/", "x"), "a");
  EXPECT_FALSE(place_in_result("etc/passwd", "models/", "x"));
  EXPECT_FALSE(place_in_result("./", "", "x"));
  EXPECT_FALSE(place_in_result("a/.git/config", "", "x"));
  for (const char* wrong : {"/etc/passwd", "../a", "a/../../b", "a//b", "a\nb"}) {
    EXPECT_THROW(place_in_result(wrong, "", "x"), InputError) << wrong;
  }
  EXPECT_THROW(place_in_result("models/../a", "models/", "x"), InputError);
}

}  // namespace
}  // namespace stepdown::fetch
