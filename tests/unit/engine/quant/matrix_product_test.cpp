#include "engine/quant/matrix_product.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "engine/quant/linear_algebra.h"

namespace stepdown::quant {
namespace {

Matrix random_matrix(std::int64_t rows, std::int64_t columns, unsigned seed) {
  Matrix matrix(rows, columns);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (float& x : matrix.values) x = normal(random);
  return matrix;
}

/// Of `count` floats added up in any order.
double tolerance(std::int64_t count) {
  return 1e-6 * static_cast<double>(count);
}

struct Shape {
  std::int64_t inputs, columns, outputs;
};
// A last tile that is not full, more columns than a panel has, more rows than go together, and next to
// nothing.
constexpr Shape kShapes[] = {{3, 64, 40}, {300, 96, 16}, {130, 1100, 17}, {1, 1, 1}, {2, 1024, 200}};

TEST(MatrixProduct, IsThatOfDoublesWhateverTheThreads) {
  kernels::ThreadPool one(1);
  kernels::ThreadPool three(3);
  for (const Shape& shape : kShapes) {
    const Matrix inputs = random_matrix(shape.inputs, shape.columns, 1);
    const Matrix weight = random_matrix(shape.outputs, shape.columns, 2);
    const Matrix out = product(one, inputs, weight);
    ASSERT_EQ(out.values.size(), static_cast<std::size_t>(shape.inputs * shape.outputs));
    for (std::int64_t row = 0; row < shape.inputs; ++row) {
      for (std::int64_t output = 0; output < shape.outputs; ++output) {
        double sum = 0;
        for (std::int64_t i = 0; i < shape.columns; ++i)
          sum += static_cast<double>(inputs.row(row)[i]) * weight.row(output)[i];
        ASSERT_NEAR(out.row(row)[output], sum, tolerance(shape.columns)) << row << ", " << output;
      }
    }
    EXPECT_EQ(product(three, inputs, weight).values, out.values);
  }
  EXPECT_EQ(product(one, Matrix(0, 8), Matrix(5, 8)).columns, 5) << "of no rows";
}

TEST(MatrixProduct, GramIsThatOfDoublesWhateverTheThreads) {
  kernels::ThreadPool one(1);
  kernels::ThreadPool three(3);
  for (const Shape& shape : kShapes) {
    const Matrix inputs = random_matrix(shape.columns, shape.inputs, 3);  // tokens, columns
    Matrix gram(inputs.columns, inputs.columns);
    Matrix other = gram;
    const std::int64_t half = inputs.rows / 2;
    add_gram(one, inputs, 0, half, gram);
    add_gram(one, inputs, half, inputs.rows - half, gram);
    mirror(gram);
    for (std::int64_t i = 0; i < gram.rows; ++i) {
      for (std::int64_t j = 0; j < gram.rows; ++j) {
        double sum = 0;
        for (std::int64_t token = 0; token < inputs.rows; ++token)
          sum += static_cast<double>(inputs.row(token)[i]) * inputs.row(token)[j];
        ASSERT_NEAR(gram.row(i)[j], sum, tolerance(inputs.rows)) << i << ", " << j;
      }
    }
    add_gram(three, inputs, 0, half, other);
    add_gram(three, inputs, half, inputs.rows - half, other);
    mirror(other);
    EXPECT_EQ(other.values, gram.values);
  }
}

TEST(LinearAlgebra, ManyRowsAtOnceGiveTheBitsOfOneAfterAnother) {
  for (const std::int64_t width : {16, 64, 80, 100, 256}) {
    for (const std::int64_t count : {1, 7, 8, 19}) {
      const Matrix rows = random_matrix(count, width + 5, 4);
      const Matrix x = random_matrix(6, width, 5);
      const auto length = static_cast<std::size_t>(width);
      Matrix scores(x.rows, count);
      Matrix expected = x;
      for (std::int64_t i = 0; i < x.rows; ++i) {
        dots(x.row(i), rows.row(0), rows.columns, length, scores.row_span(i));
        for (std::int64_t row = 0; row < count; ++row) {
          const float score = dot(x.row(i), rows.row(row), length);
          EXPECT_EQ(scores.row(i)[row], score);
          axpy(score, rows.row(row), expected.row(i), length);
        }
      }
      Matrix sum = x;
      add_product({scores.row(0), count}, {rows.row(0), rows.columns}, count, {sum.row(0), width}, sum.rows,
                  width);
      EXPECT_EQ(sum.values, expected.values) << width << " wide, " << count << " rows";
    }
  }
}

TEST(LinearAlgebra, TheInversesFactorGivesTheInverse) {
  kernels::ThreadPool one(1);
  kernels::ThreadPool three(3);
  for (const std::int64_t size : {1, 5, 64, 150, 200}) {
    const Matrix x = random_matrix(2 * size, size, 6);
    Matrix h(size, size);
    add_gram(one, x, 0, x.rows, h);
    mirror(h);
    for (std::int64_t i = 0; i < size; ++i) h.row(i)[i] += static_cast<float>(size);
    const auto upper = inverse_cholesky(one, h);
    ASSERT_TRUE(upper);
    EXPECT_EQ(inverse_cholesky(three, h)->values, upper->values);
    for (std::int64_t i = 0; i < size; ++i) {
      for (std::int64_t j = 0; j < i; ++j) ASSERT_EQ(upper->row(i)[j], 0.0f);
      for (std::int64_t j = 0; j < size; ++j) {  // Uᵀ·U·H = 1
        double sum = 0;
        for (std::int64_t k = 0; k < size; ++k) {
          double inverse = 0;
          for (std::int64_t m = 0; m <= std::min(i, k); ++m)
            inverse += static_cast<double>(upper->row(m)[i]) * upper->row(m)[k];
          sum += inverse * h.row(k)[j];
        }
        ASSERT_NEAR(sum, i == j ? 1.0 : 0.0, 1e-4) << i << ", " << j << " of " << size;
      }
    }
  }
  Matrix indefinite(2, 2);
  indefinite.values = {1.0f, 2.0f, 2.0f, 1.0f};
  EXPECT_FALSE(inverse_cholesky(one, indefinite));
}

}  // namespace
}  // namespace stepdown::quant
