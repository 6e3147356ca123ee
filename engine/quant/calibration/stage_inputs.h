#pragma once

#include <cstdint>
#include <vector>

#include "engine/kernels/thread_pool.h"
#include "engine/quant/calibration/prompt_attention.h"
#include "engine/quant/matrix.h"

namespace stepdown::quant {

/// What the linears of one place read over the calibration prompts.
struct StageInputs {
  std::int64_t tokens = 0;
  Matrix gram;                     ///< Σ x·xᵀ, [inputs][inputs]; empty unless asked for
  std::vector<float> mean_square;  ///< of each column
  std::vector<float> mean_magnitude;
  std::vector<float> largest;  ///< magnitude of each column
};

/// Gathers them, some rows at a time.
class Observer {
 public:
  explicit Observer(bool with_gram) : with_gram_(with_gram) {}
  /// `lengths`: of the prompts that the rows belong to. How prompts are put together changes no bit.
  void add(kernels::ThreadPool& pool, const Matrix& inputs, Lengths lengths);
  StageInputs result();

 private:
  void add_columns(kernels::ThreadPool& pool, const Matrix& inputs);

  bool with_gram_;
  StageInputs seen_;
  std::vector<double> squares_;
  std::vector<double> magnitudes_;
};

}  // namespace stepdown::quant
