#include "engine/base/error.h"

#include "engine/base/printable.h"

namespace stepdown {
namespace {

std::string one_line(const std::string& what, const std::string& where, const std::string& mend) {
  std::string line = where.empty() ? "" : printable(where) + ": ";
  line += printable(what);  // what files say may hold any byte
  return mend.empty() ? line : line + "; " + printable(mend);
}

}  // namespace

Error::Error(const std::string& what, std::string where, std::string mend)
    : std::runtime_error(one_line(what, where, mend)), where_(std::move(where)), mend_(std::move(mend)) {}

}  // namespace stepdown
