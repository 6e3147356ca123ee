#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <vector>

namespace stepdown::kernels {

/// A head rotated by the Hadamard matrix's definition, in blocks of the largest power of two that divides its
/// width: entry (i, j) is (−1)^(bits that i and j share) / √n. Its own inverse.
template <class T>
std::vector<T> rotated(const std::vector<T>& head) {
  std::size_t block = 1;
  while (head.size() % (2 * block) == 0) block *= 2;
  std::vector<T> out;
  for (std::size_t i = 0; i < head.size(); ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < block; ++j) {
      const auto x = static_cast<double>(head[i / block * block + j]);
      sum += std::popcount(i % block & j) % 2 == 0 ? x : -x;
    }
    out.push_back(static_cast<T>(sum / std::sqrt(static_cast<double>(block))));
  }
  return out;
}

}  // namespace stepdown::kernels
