#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/formats/model_file.h"
#include "engine/kernels/packed_matrix.h"
#include "engine/kernels/page_buffer.h"
#include "engine/kernels/thread_pool.h"

namespace stepdown::model {

/// Loads an architecture's tensors: asks for matrices by name and shape, then repacks all of them at once
/// into one buffer, giving back each one's file pages as it goes, so that weights are not in memory twice.
class WeightLoader {
 public:
  explicit WeightLoader(const formats::ModelFile& file) : file_(file) {}

  /// `target` is filled by pack(). Throws InputError when the tensor is missing or has another shape.
  void matrix(const std::string& name, std::int64_t rows, std::int64_t columns,
              kernels::PackedMatrix& target);
  /// One of the equal matrices that a tensor of three dimensions holds.
  struct Slice {
    std::int64_t index;
    std::int64_t count;
  };
  void matrix(const std::string& name, std::int64_t rows, std::int64_t columns, kernels::PackedMatrix& target,
              Slice slice);
  /// A vector of floats, at once.
  std::vector<float> vector(const std::string& name, std::int64_t count) const;
  /// The named vector, or an empty one.
  std::vector<float> optional_vector(const std::string& name, std::int64_t count) const;
  const TensorView& tensor(const std::string& name, std::int64_t rows, std::int64_t columns) const;
  bool has(const std::string& name) const { return file_.find(name) != nullptr; }

  /// Repacks all matrices; the buffer must outlive them. After the last use nothing may read the file's
  /// tensors again.
  kernels::PageBuffer pack(kernels::ThreadPool& pool, bool last_use_of_file);

 private:
  struct Pending {
    TensorView tensor;
    kernels::PackedMatrix* target;
  };
  const formats::ModelFile& file_;
  std::vector<Pending> pending_;
};

}  // namespace stepdown::model
