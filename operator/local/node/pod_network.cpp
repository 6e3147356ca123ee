#include "operator/local/node/pod_network.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

namespace stepdown::local {
namespace {

constexpr int kFirst = 97;  // the API server gives Services 127.96
constexpr int kNetworks = 30;

// An abstract socket's name is of the machine's network, as the addresses are, and goes with its process. −1
// where another has it.
int claim(int number) {
  const std::string name = "stepdown-pods-127." + std::to_string(number);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::ranges::copy(name, address.sun_path + 1);
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) throw Error(std::string("no socket: ") + std::strerror(errno), "network of the pods");
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), size) == 0) return socket;
  ::close(socket);
  return -1;
}

}  // namespace

PodNetwork::PodNetwork(const std::filesystem::path& dir) {
  const std::filesystem::path kept = dir / "pod-network";
  if (std::filesystem::exists(kept)) {
    // Its pods have these addresses, even if another agent came while this one was away.
    const std::string text = read_file(kept);
    std::from_chars(text.data(), text.data() + text.size(), number_);
    number_ = std::clamp(number_, kFirst, kFirst + kNetworks - 1);
    socket_ = claim(number_);
    return;
  }
  const auto start = static_cast<int>(std::hash<std::string>{}(dir.string()) % kNetworks);
  for (int i = 0; i < kNetworks && socket_ < 0; ++i) {
    number_ = kFirst + (start + i) % kNetworks;
    socket_ = claim(number_);
  }
  if (socket_ < 0) {
    throw Error("every network for pods is another node agent's", "127.97.0.0 to 127.126.255.255",
                "end one of them with `kubectl stepdown local down`");
  }
  write_file_atomically(kept, std::to_string(number_));
}

PodNetwork::~PodNetwork() {
  if (socket_ >= 0) ::close(socket_);
}

}  // namespace stepdown::local
