#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace stepdown::runtime {

/// Deals turns, so that clients are served side by side however much each of them asks for at once
/// (start-time fair queueing, Goyal et al. 1996): requests of one client have turns one behind the other, and
/// who was away begins with the turn that is served now.
class ClientTurns {
 public:
  /// `remembered`: of so many clients the last turn is kept. With more, those are forgotten whose turns have
  /// come: at worst they are served once more beside the others.
  explicit ClientTurns(std::size_t remembered) : remembered_(remembered) {}

  /// The turn of the client's next request.
  std::int64_t next(const std::string& client);
  /// A request of this turn is served.
  void serve(std::int64_t turn);
  std::int64_t now() const { return now_; }

 private:
  std::size_t remembered_;
  std::int64_t now_ = 0;
  std::map<std::string, std::int64_t> last_;
};

}  // namespace stepdown::runtime
