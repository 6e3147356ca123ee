#pragma once

#include <stdexcept>
#include <string>

namespace stepdown {

/// A failure told in one line: what went wrong, where (file:line, JSON path, URL), how to mend it.
/// Thrown at load and control; the data path returns values instead.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what, std::string where = {}, std::string mend = {});

  const std::string& where() const { return where_; }
  const std::string& mend() const { return mend_; }

 private:
  std::string where_;
  std::string mend_;
};

/// The caller gave bad usage or bad input: programs exit with 2 instead of 1.
class InputError : public Error {
 public:
  using Error::Error;
};

}  // namespace stepdown
