#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stepdown::quant {

/// Personal data out of text before anything is stored: "email", "phone", "iban" (by its check digits),
/// "card" (by Luhn's digit) and "name" (words of a list, case ignored, whole words). Each becomes its kind in
/// brackets:
/// "[email]". Linear in the text's length.
class Redactor {
 public:
  /// Throws InputError for an unknown kind.
  Redactor(std::span<const std::string> kinds, std::vector<std::string> names);

  /// `counts` rises by what was replaced, by kind.
  std::string redact(std::string_view text, std::map<std::string, int>& counts) const;

 private:
  std::vector<std::string> kinds_;
  std::vector<std::string> names_;  ///< lower case, longest first
};

}  // namespace stepdown::quant
