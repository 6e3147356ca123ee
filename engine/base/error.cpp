#include "engine/base/error.h"

namespace stepdown {
namespace {

std::string one_line(const std::string& what, const std::string& where, const std::string& mend) {
  std::string line = where.empty() ? what : where + ": " + what;
  if (!mend.empty()) line += "; " + mend;
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = ' ';  // what files say may hold any byte
  }
  return line;
}

}  // namespace

Error::Error(const std::string& what, std::string where, std::string mend)
    : std::runtime_error(one_line(what, where, mend)), where_(std::move(where)), mend_(std::move(mend)) {}

}  // namespace stepdown
