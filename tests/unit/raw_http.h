#pragma once

#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace stepdown::raw_http {

/// What must come of some bytes that a client sends to an HTTP server.
enum class Want {
  kAnswer,   ///< odd, but right: an answer below 500
  kRefusal,  ///< 4xx, 501 or 505 at once, or an end of the connection; nothing in it is acted on
  kPatience  ///< half a request: the same, once the server has waited long enough
};

struct Case {
  std::string name;
  Want want;
  std::string bytes;  ///< "{get}" and "{post}" stand for paths that the server knows
};

inline std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

/// The same for every server of the project. RFC 9112 tells why each of these is refused.
inline std::vector<Case> cases() {
  const std::string get = "GET {get} HTTP/1.1\r\nHost: h\r\n";
  const std::string post = "POST {post} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n";
  const std::string hidden = "GET {get} HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  return {
      {"one request", Want::kAnswer, get + "\r\n"},
      {"two requests at once", Want::kAnswer, get + "\r\n" + get + "\r\n"},
      {"HTTP/1.0", Want::kAnswer, "GET {get} HTTP/1.0\r\n\r\n"},
      {"HEAD", Want::kAnswer, "HEAD {get} HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"an expectation of 100", Want::kAnswer, post + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n[]"},
      {"a chunked body", Want::kAnswer, chunked + "2\r\n[]\r\n0\r\n\r\n"},
      {"a chunk with an extension", Want::kAnswer, chunked + "2;a=b\r\n[]\r\n0\r\n\r\n"},

      {"an empty request line", Want::kRefusal, "  \r\n\r\n"},
      {"a request line of one word", Want::kRefusal, "GET\r\n\r\n"},
      {"no version", Want::kRefusal, "GET {get}\r\nHost: h\r\n\r\n"},
      {"a version to come", Want::kRefusal, "GET {get} HTTP/7.3\r\nHost: h\r\n\r\n"},
      {"no HTTP", Want::kRefusal, "GET {get} FTP/1.1\r\nHost: h\r\n\r\n"},
      {"HTTP/2 begun", Want::kRefusal, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"a method of no kind", Want::kRefusal, "G{}T {get} HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"a TLS greeting", Want::kRefusal,
       std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15)},
      {"zeros", Want::kRefusal, std::string(64, '\0') + "\r\n\r\n"},
      {"a path of a megabyte", Want::kRefusal,
       "GET /" + std::string(1 << 20, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"},
      {"a header of a megabyte", Want::kRefusal, get + "X: " + std::string(1 << 20, 'a') + "\r\n\r\n"},
      {"headers without end", Want::kRefusal, get + repeated("X: a\r\n", 400'000) + "\r\n"},
      {"a header without a colon", Want::kRefusal, get + "X\r\n\r\n"},
      {"a space before the colon", Want::kRefusal, post + "Content-Length : 2\r\n\r\n[]"},
      {"a length below zero", Want::kRefusal, post + "Content-Length: -1\r\n\r\n[]"},
      {"a length with a sign", Want::kRefusal, post + "Content-Length: +2\r\n\r\n[]"},
      {"a length in base 16", Want::kRefusal, post + "Content-Length: 0x2\r\n\r\n[]"},
      {"a length that is none", Want::kRefusal, post + "Content-Length: two\r\n\r\n[]"},
      {"an empty length", Want::kRefusal, post + "Content-Length:\r\n\r\n[]"},
      {"a length over 64 bits", Want::kRefusal, post + "Content-Length: 99999999999999999999\r\n\r\n[]"},
      {"a length of terabytes", Want::kRefusal, post + "Content-Length: 9999999999999\r\n\r\n[]"},
      {"two lengths", Want::kRefusal, post + "Content-Length: 2\r\nContent-Length: 40\r\n\r\n[]" + hidden},
      {"two lengths in one", Want::kRefusal, post + "Content-Length: 2, 40\r\n\r\n[]" + hidden},
      {"a length and chunks", Want::kRefusal,
       post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden},
      {"chunks and a length", Want::kRefusal,
       post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + hidden},
      {"an unknown coding", Want::kRefusal, post + "Transfer-Encoding: gzip\r\n\r\n" + hidden},
      {"an unknown coding over chunks", Want::kRefusal,
       post + "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"},
      {"chunks coded again", Want::kRefusal, post + "Transfer-Encoding: chunked, identity\r\n\r\n" + hidden},
      {"a coding with a tail", Want::kRefusal, post + "Transfer-Encoding: xchunked\r\n\r\n" + hidden},
      {"two codings", Want::kRefusal,
       post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden},
      {"a chunk of no size", Want::kRefusal, chunked + "zz\r\n[]\r\n0\r\n\r\n"},
      {"a chunk below zero", Want::kRefusal, chunked + "-2\r\n[]\r\n0\r\n\r\n"},
      {"a chunk over 64 bits", Want::kRefusal, chunked + "fffffffffffffffff\r\n[]\r\n0\r\n\r\n"},
      {"a chunk of exabytes", Want::kRefusal, chunked + "7ffffffffffffff0\r\n[]\r\n0\r\n\r\n"},
      {"a chunk that goes on", Want::kRefusal, chunked + "2\r\n[][]\r\n0\r\n\r\n"},

      {"half a request line", Want::kPatience, "GET {get}"},
      {"half a header", Want::kPatience, get + "X: a"},
      {"half a body", Want::kPatience, post + "Content-Length: 100\r\n\r\n{"},
      {"half a chunk", Want::kPatience, chunked + "64\r\n{"},
      {"chunks without an end", Want::kPatience, chunked + "2\r\n[]\r\n"},
      {"a chunk's extension without end", Want::kPatience, chunked + "2;" + std::string(1 << 20, 'a')},
  };
}

/// cpp-httplib leaves out lines that are no header; the names of those that end a request are checked all the
/// same.
inline const std::string kLeftOut = "a header without a colon";

struct Server {
  int port = 0;
  std::string get, post;  ///< paths it knows
  std::chrono::milliseconds patience{};
  SSL_CTX* tls = nullptr;      ///< of the client; null: plain
  std::string tolerated = "";  ///< the name of the case that it takes, although it should not
};

/// One connection from loopback that gives up by itself.
class Client {
 public:
  Client(const Server& server, std::chrono::milliseconds patience) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(patience).count();
    const timeval limit{micros / 1'000'000, micros % 1'000'000};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(server.port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    good_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
    if (!good_ || server.tls == nullptr) return;
    tls_.reset(SSL_new(server.tls));
    good_ = SSL_set_fd(tls_.get(), socket_) == 1 && SSL_connect(tls_.get()) == 1;
  }
  ~Client() {
    tls_.reset();
    ::close(socket_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool good() const { return good_; }
  /// As much as the server takes.
  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = tls_ ? SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()))
                             : ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  /// Some bytes; empty at the end, or when none came in time: `ended` tells which.
  std::string receive(bool& ended) {
    std::string bytes(4096, '\0');
    errno = 0;
    const auto got = tls_ ? SSL_read(tls_.get(), bytes.data(), static_cast<int>(bytes.size()))
                          : ::recv(socket_, bytes.data(), bytes.size(), 0);
    ended = got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }
  /// No more patience than this from now on.
  void hurry(std::chrono::milliseconds patience) const {
    const timeval limit{0, patience.count() * 1000};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }

 private:
  struct Free {
    void operator()(SSL* held) const { SSL_free(held); }
  };
  int socket_ = -1;
  bool good_ = false;
  std::unique_ptr<SSL, Free> tls_;
};

inline std::string at(std::string text, const Server& server) {
  for (const auto& [name, path] : {std::pair{"{get}", &server.get}, std::pair{"{post}", &server.post}}) {
    for (auto found = text.find(name); found != std::string::npos;
         found = text.find(name, found + path->size()))
      text.replace(found, std::string_view(name).size(), *path);
  }
  return text;
}

/// What is wrong with what the server makes of a case; empty: nothing.
inline std::string complaint(const Server& server, const Case& c) {
  const auto began = std::chrono::steady_clock::now();
  const std::chrono::milliseconds grace{3000};
  Client client(server, server.patience + grace);
  if (!client.good()) return "cannot connect";
  client.send(at(c.bytes, server));
  std::string got;
  bool ended = false;
  for (std::string some = client.receive(ended); !some.empty(); some = client.receive(ended)) {
    got += some;
    client.hurry(std::chrono::milliseconds(400));
  }
  const auto took = std::chrono::steady_clock::now() - began;
  if (got.empty() && !ended) return "neither an answer nor an end";
  if (c.want == Want::kRefusal && took > grace + std::chrono::seconds(5)) return "refused late";
  for (auto line = got.find("HTTP/1."); line != std::string::npos; line = got.find("\nHTTP/1.", line + 1)) {
    const int status = std::atoi(got.c_str() + got.find(' ', line));
    const bool refusal = (status >= 400 && status < 500) || status == 501 || status == 505;
    if (c.want == Want::kAnswer ? status >= 500 : !refusal && status != 100)
      return "answered " + std::to_string(status);
  }
  if (c.want == Want::kAnswer && !got.starts_with("HTTP/1.")) return "no answer: " + got.substr(0, 100);
  return {};
}

/// All cases side by side; afterwards the server must still answer. One line a case that went wrong.
inline std::vector<std::string> complaints(const Server& server) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to connections that servers close
  const std::vector<Case> all = cases();
  std::vector<std::string> of(all.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < all.size(); ++i)
    threads.emplace_back([&, i] { of[i] = complaint(server, all[i]); });
  for (std::thread& thread : threads) thread.join();
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!of[i].empty() && all[i].name != server.tolerated) lines.push_back(all[i].name + ": " + of[i]);
  if (const std::string after = complaint(server, all.front()); !after.empty())
    lines.push_back("afterwards: " + after);
  return lines;
}

}  // namespace stepdown::raw_http
