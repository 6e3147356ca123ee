#include "engine/server/request_framer.h"

#include <gtest/gtest.h>

namespace stepdown::server {
namespace {

constexpr RequestFramer::Limits kLimits{.line = 64, .head = 400, .fields = 10, .body = 32};

/// What becomes of `bytes` when they come `step` at a time; `left` is what was not taken.
RequestFramer framed(std::string_view bytes, std::size_t step, std::string* left = nullptr) {
  RequestFramer framer(kLimits);
  while (!bytes.empty() && !framer.whole() && !framer.error())
    bytes.remove_prefix(framer.feed(bytes.substr(0, step)));
  if (left != nullptr) *left = bytes;
  return framer;
}

TEST(RequestFramer, WholeRequestsComeOutWithOneLength) {
  const struct {
    const char* bytes;
    const char* request;
    const char* left;
  } cases[] = {
      {"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\nrest",
       "GET /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "rest"},
      {"\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST",
       "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "POST"},
      {"POST / HTTP/1.1\r\ncontent-length: 3\r\nContent-Length:3 \r\n\r\nabc",
       "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", ""},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\nA: b\r\n\r\n3;x=y\r\nabc\r\n01\r\nd\r\n0\r\nT: "
       "u\r\n\r\nG",
       "POST / HTTP/1.1\r\nA: b\r\nContent-Length: 4\r\n\r\nabcd", "G"},
      {"PUT / HTTP/1.0\r\nContent-Length: 0\r\nRange: bytes=0-1\r\n\r\n",
       "PUT / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", ""},
  };
  for (const auto& each : cases) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
      std::string left;
      RequestFramer framer = framed(each.bytes, step, &left);
      ASSERT_TRUE(framer.whole()) << each.bytes << framer.error().value_or(FramingError{}).what;
      EXPECT_EQ(framer.take(), each.request);
      EXPECT_EQ(left, each.left);
    }
  }
}

TEST(RequestFramer, WhatTwoReadersCouldReadDifferentlyIsRefused) {
  const std::string post = "POST / HTTP/1.1\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  const struct {
    std::string bytes;
    int status;
  } cases[] = {
      {"garbage\r\n", 400},
      {"\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\n", 400},
      {"GET / HTTP/2.0\r\n", 505},
      {std::string("GET /\0 HTTP/1.1\r\n", 17), 400},
      {"GET / HTTP/1.1\n", 400},
      {"GET /" + std::string(100, 'a'), 414},
      {post + "no colon here\r\n", 400},
      {post + "Name : x\r\n", 400},
      {post + "A: b\r\n folded\r\n", 400},
      {post + "A: b\n", 400},
      {post + "A: b\rc\r\n", 400},
      {post + "A: " + std::string(100, 'a'), 431},
      {post + "A: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n",
       431},
      {post + "Content-Length: -1\r\n", 400},
      {post + "Content-Length: +1\r\n", 400},
      {post + "Content-Length: 1x\r\n", 400},
      {post + "Content-Length: \r\n", 400},
      {post + "Content-Length: 1, 1\r\n", 400},
      {post + "Content-Length: 99999999999999999999999\r\n", 400},
      {post + "Content-Length: 3\r\nContent-Length: 4\r\n", 400},
      {post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400},
      {post + "Transfer-Encoding: gzip, chunked\r\n", 501},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {post + "Content-Encoding: gzip\r\n", 415},
      {post + "Expect: a miracle\r\n", 417},
      {post + "Content-Length: 33\r\n\r\n", 413},
      {post + "Content-Length: 2147483648\r\n\r\n", 413},
      {chunked + "-1\r\n", 400},
      {chunked + "0x3\r\n", 400},
      {chunked + "\r\n", 400},
      {chunked + "ffffffffffffffff\r\n", 413},
      {chunked + "fffffffffffffffff\r\n", 400},
      {chunked + "20\r\n" + std::string(32, 'a') + "\r\n1\r\n", 413},
      {chunked + "3\r\nabcd\r\n", 400},
      {chunked + std::string(100, '0'), 400},
  };
  for (const auto& each : cases) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{1000}}) {
      const RequestFramer framer = framed(each.bytes, step);
      ASSERT_TRUE(framer.error()) << each.bytes;
      EXPECT_EQ(framer.error()->status, each.status) << each.bytes << ": " << framer.error()->what;
      EXPECT_FALSE(framer.whole());
    }
  }
}

TEST(RequestFramer, ContinueIsWantedOnceAndBeforeABody) {
  RequestFramer framer(kLimits);
  const std::string head = "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n";
  framer.feed(head);
  EXPECT_FALSE(framer.wants_continue());
  framer.feed("\r\n");
  EXPECT_TRUE(framer.wants_continue());
  EXPECT_FALSE(framer.wants_continue());
  framer.feed("a");
  EXPECT_EQ(framer.take(), "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\na");
}

}  // namespace
}  // namespace stepdown::server
