#include "engine/server/request_framer.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace stepdown::server {
namespace {

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
  });
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Digits alone, and few enough not to overflow.
std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::size_t RequestFramer::feed(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && !whole() && !error_) {
    const std::string_view rest = bytes.substr(taken);
    if (state_ == State::kBody || state_ == State::kChunk) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest.size()));
      body_.append(rest.substr(0, count));
      left_ -= count;
      taken += count;
      if (left_ == 0) state_ = state_ == State::kBody ? State::kWhole : State::kChunkEnd;
      continue;
    }
    const std::size_t end = rest.find('\n');
    line_.append(rest.substr(0, end));
    taken += end == std::string_view::npos ? rest.size() : end + 1;
    if (line_.size() > limits_.line + 1) {
      if (state_ == State::kRequestLine) {
        fail(414, "the request line is longer than " + std::to_string(limits_.line) + " bytes");
      } else if (state_ == State::kFields || state_ == State::kTrailers) {
        fail(431, "a header field is longer than " + std::to_string(limits_.line) + " bytes");
      } else {
        fail(400, "a chunk has no size");
      }
    } else if (end != std::string_view::npos) {
      const std::string line = std::exchange(line_, {});
      if (!line.ends_with('\r')) {
        fail(400, "a line does not end with CR LF");
      } else {
        take_line(std::string_view(line).substr(0, line.size() - 1));
      }
    }
  }
  return taken;
}

void RequestFramer::take_line(std::string_view line) {
  head_bytes_ += line.size() + 2;
  if (!is_visible(line)) return fail(400, "a line holds control characters");
  switch (state_) {
    case State::kRequestLine:
      return take_request_line(line);
    case State::kFields:
      return line.empty() ? end_head() : take_field(line);
    case State::kChunkSize:
      return take_chunk_size(line);
    case State::kChunkEnd:
      if (!line.empty()) return fail(400, "a chunk is longer than its size");
      state_ = State::kChunkSize;
      return;
    default:  // trailers are of no use here
      if (head_bytes_ > limits_.head) return fail(431, "the trailers are too long");
      if (line.empty()) state_ = State::kWhole;
  }
}

void RequestFramer::take_request_line(std::string_view line) {
  // One line end may be left over from the request before (RFC 9112, 2.2).
  if (line.empty() && head_bytes_ == 2) return;
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  const std::string_view target = first < last ? line.substr(first + 1, last - first - 1) : "";
  if (target.empty() || target.find(' ') != std::string_view::npos || !is_token(line.substr(0, first)))
    return fail(400, "the request line is not 'METHOD PATH HTTP/1.1'");
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return fail(505, "only HTTP/1.1 is spoken here");
  old_ = version == "HTTP/1.0";
  head_ = std::string(line) + "\r\n";
  state_ = State::kFields;
}

void RequestFramer::take_field(std::string_view line) {
  if (++fields_ > limits_.fields || head_bytes_ > limits_.head)
    return fail(431, "the header is longer than " + std::to_string(limits_.fields) + " fields or " +
                         std::to_string(limits_.head) + " bytes");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return fail(400, "a header line is not 'Name: value'");
  const std::string name = lower(line.substr(0, colon));
  const std::string_view value = trim(line.substr(colon + 1));
  if (name == "content-length") return take_length(value);
  if (name == "transfer-encoding") {
    if (chunked_) return fail(400, "Transfer-Encoding is given twice");
    if (lower(value) != "chunked") return fail(501, "the only transfer coding known here is chunked");
    chunked_ = true;
    return;
  }
  if (name == "content-encoding" && lower(value) != "identity")
    return fail(415, "bodies are not taken compressed");
  if (name == "expect") {
    if (lower(value) != "100-continue") return fail(417, "the only expectation known here is 100-continue");
    expects_ = true;
    return;
  }
  if (name == "range") return;  // nothing here is served in parts
  head_ += std::string(line) + "\r\n";
}

void RequestFramer::take_length(std::string_view value) {
  const auto length = parse_number(value, 10);
  if (!length) return fail(400, "Content-Length is no number of bytes");
  if (length_ && *length_ != *length) return fail(400, "Content-Length is given twice, differently");
  length_ = length;
}

void RequestFramer::end_head() {
  if (chunked_ && (length_ || old_))
    return fail(400, "Transfer-Encoding is given together with Content-Length or HTTP/1.0");
  if (length_.value_or(0) > limits_.body)
    return fail(413, "the body is larger than " + std::to_string(limits_.body) + " bytes");
  left_ = length_.value_or(0);
  state_ = chunked_ ? State::kChunkSize : left_ > 0 ? State::kBody : State::kWhole;
  if (whole()) expects_ = false;
}

void RequestFramer::take_chunk_size(std::string_view line) {
  const auto size = parse_number(trim(line.substr(0, line.find(';'))), 16);
  if (!size) return fail(400, "a chunk's size is no hexadecimal number");
  if (*size > limits_.body - body_.size())
    return fail(413, "the body is larger than " + std::to_string(limits_.body) + " bytes");
  left_ = *size;
  state_ = left_ > 0 ? State::kChunk : State::kTrailers;
  if (left_ == 0) head_bytes_ = 0;
}

void RequestFramer::fail(int status, std::string what) {
  error_ = FramingError{status, std::move(what)};
}

bool RequestFramer::wants_continue() {
  return !error_ && in_body() && std::exchange(expects_, false);
}

std::string RequestFramer::take() {
  head_ += "Content-Length: " + std::to_string(body_.size()) + "\r\n\r\n";
  head_ += body_;
  return std::move(head_);
}

}  // namespace stepdown::server
