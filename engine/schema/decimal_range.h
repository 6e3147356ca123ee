#pragma once

#include <cstdint>

namespace stepdown::schema {

/// Decimal numbers between two bounds, multiples of one, written without exponent, followed digit by digit so
/// that every prefix that is accepted can still become such a number. Values are scaled by 10^places: 18
/// digits in all.
struct DecimalRange {
  std::int64_t low = 0;
  std::int64_t high = 0;
  int places = 0;         ///< digits allowed behind the point; 0 for integers
  std::int64_t step = 1;  ///< only multiples of it

  /// Whether there is such a number.
  bool any() const;
  /// Whether a number is a multiple of the step, as far as doubles tell.
  bool has_multiple(double value) const;
  bool has_multiple(std::int64_t value) const;  ///< exactly

  /// A number being written: magnitude of the digits so far, and how many stand behind the point.
  struct Prefix {
    std::int64_t digits = 0;
    bool negative = false;
    bool any = false;           ///< a digit was written
    std::int8_t fraction = -1;  ///< −1 before the point
  };

  /// Takes a digit, '-' or '.'; false (and `prefix` unspecified) when no number within the bounds starts so.
  bool accept(Prefix& prefix, unsigned char byte) const;
  /// The prefix is a whole number within the bounds.
  bool complete(const Prefix& prefix) const;

 private:
  bool viable(const Prefix& prefix) const;
};

}  // namespace stepdown::schema
