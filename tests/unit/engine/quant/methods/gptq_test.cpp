// GPTQ beside the equations of its paper, in doubles: which weight is rounded when, on which grid, and what
// its error does to those that are left.
#include "engine/quant/methods/gptq.h"

#include <numeric>

#include "tests/unit/engine/quant/methods/one_layer.h"

namespace stepdown::quant {
namespace {

using Square = std::vector<std::vector<double>>;

struct Case {
  const char* name;
  int bits;
  bool act_order;
  bool static_groups;
  double damping;
};

constexpr std::int64_t kGroup = 32;
constexpr std::int64_t kDead = 5;  // a column that no token ever used

/// Σ x·xᵀ in doubles.
Square gram_of(const Matrix& tokens) {
  const auto columns = static_cast<std::size_t>(tokens.columns);
  Square gram(columns, std::vector<double>(columns));
  for (std::int64_t token = 0; token < tokens.rows; ++token) {
    const float* x = tokens.row(token);
    for (std::size_t i = 0; i < columns; ++i) {
      for (std::size_t j = 0; j < columns; ++j)
        gram[i][j] += static_cast<double>(x[i]) * static_cast<double>(x[j]);
    }
  }
  return gram;
}

/// Gauss and Jordan's, without pivots: H is positive definite.
Square inverse(Square h) {
  const std::size_t size = h.size();
  for (std::size_t k = 0; k < size; ++k) {
    const double pivot = h[k][k];
    h[k][k] = 1;
    for (double& x : h[k]) x /= pivot;
    for (std::size_t i = 0; i < size; ++i) {
      if (i == k) continue;
      const double factor = h[i][k];
      h[i][k] = 0;
      for (std::size_t j = 0; j < size; ++j) h[i][j] -= factor * h[k][j];
    }
  }
  return h;
}

struct Grid {
  double scale = 1;
  int bits = 4;

  double middle() const { return 1 << (bits - 1); }
  double rounded(double x) const {
    const double code =
        std::clamp(std::nearbyint(x / scale) + middle(), 0.0, static_cast<double>((1 << bits) - 1));
    return scale * (code - middle());
  }
};

/// The optimal brain quantizer in one order for all rows (Frantar et al. 2022, equations 2 and 3): what is
/// rounded leaves the inverse Hessian, and the weights that are left make up for its error.
class Reference {
 public:
  Reference(Matrix weight, Square gram, const Case& how) : weight_(std::move(weight)), how_(how) {
    const std::size_t columns = gram.size();
    order_.resize(columns);
    std::iota(order_.begin(), order_.end(), 0);
    if (how.act_order)
      std::ranges::stable_sort(order_, std::ranges::greater(), [&](std::size_t i) { return gram[i][i]; });
    double mean = 0;
    for (std::size_t i = 0; i < columns; ++i) mean += gram[i][i] / static_cast<double>(columns);
    for (std::size_t i = 0; i < columns; ++i)
      gram[i][i] = (gram[i][i] > 0 ? gram[i][i] : mean) + how.damping * mean;
    inverse_ = inverse(gram);
  }

  Matrix run() {
    Matrix got(weight_.rows, weight_.columns);
    rest_.assign(weight_.values.begin(), weight_.values.end());
    grids_.resize(static_cast<std::size_t>(weight_.rows * weight_.columns / kGroup));
    if (how_.act_order && how_.static_groups) {
      for (std::size_t first = 0; first < order_.size(); first += kGroup) find_grids(first, false);
    }
    for (std::size_t place = 0; place < order_.size(); ++place) {
      const std::size_t column = order_[place];
      const bool in_file = how_.act_order && how_.static_groups;
      if (!in_file && place % kGroup == 0) find_grids(place, true);
      for (std::int64_t row = 0; row < weight_.rows; ++row) {
        double& value = rest(row, column);
        const Grid& grid = grid_of(row, in_file ? column : place);
        const double nearest = grid.rounded(value);
        note_margin(value, grid);
        got.row(row)[column] = static_cast<float>(nearest);
        const double error = (value - nearest) / inverse_[column][column];
        for (std::size_t later = place + 1; later < order_.size(); ++later)
          rest(row, order_[later]) -= error * inverse_[column][order_[later]];
      }
      remove(column);
    }
    return got;
  }

  /// Whether a weight, or a scale on its way to binary16, came so near to falling on the other side that
  /// floats cannot tell.
  bool tied() const { return code_margin_ < 2e-5 || scale_margin_ < 2e-3; }
  double scale(std::int64_t row, std::int64_t group) const {
    return grids_[static_cast<std::size_t>(row * weight_.columns / kGroup + group)].scale;
  }

 private:
  double& rest(std::int64_t row, std::size_t column) {
    return rest_[static_cast<std::size_t>(row * weight_.columns) + column];
  }
  Grid& grid_of(std::int64_t row, std::size_t place) {
    return grids_[static_cast<std::size_t>(row * weight_.columns) / kGroup + place / kGroup];
  }
  /// Of the group that begins at this place: of the order, or of the file.
  void find_grids(std::size_t first, bool in_order) {
    for (std::int64_t row = 0; row < weight_.rows; ++row) {
      double largest = 0;
      for (std::size_t i = first; i < first + kGroup; ++i)
        largest = std::max(largest, std::fabs(rest(row, in_order ? order_[i] : i)));
      const double scale = 2 * largest / ((1 << how_.bits) - 1);
      grid_of(row, first) = {as_half(scale), how_.bits};
      const double steps = std::ldexp(scale, 10 - std::ilogb(scale));  // of binary16, which keeps 11 bits
      scale_margin_ = std::min(scale_margin_, from_tie(steps));
    }
  }
  static double from_tie(double x) { return std::fabs(x - std::floor(x) - 0.5); }
  void note_margin(double value, const Grid& grid) {
    const double code = value / grid.scale;
    if (std::fabs(code) < grid.middle() - 1) code_margin_ = std::min(code_margin_, from_tie(code));
  }
  void remove(std::size_t column) {
    const std::vector<double> gone = inverse_[column];
    for (std::size_t i = 0; i < inverse_.size(); ++i) {
      for (std::size_t j = 0; j < inverse_.size(); ++j) inverse_[i][j] -= gone[i] * gone[j] / gone[column];
    }
  }

  Matrix weight_;
  Case how_;
  std::vector<std::size_t> order_;
  Square inverse_;
  std::vector<double> rest_;
  std::vector<Grid> grids_;
  double code_margin_ = 0.5;   ///< in steps of the grid
  double scale_margin_ = 0.5;  ///< in steps of binary16
};

int codes_apart(const Matrix& a, const Matrix& b, double scale) {
  int count = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i)
    count += std::fabs(static_cast<double>(a.values[i]) - static_cast<double>(b.values[i])) > 0.5 * scale;
  return count;
}

struct Layer {
  explicit Layer(unsigned seed)
      : weight(random_matrix(8, 160, seed)),  // columns enough that errors pass from block to block
        tokens(correlated_tokens(400, 160, seed + 100)) {
    for (std::int64_t token = 0; token < tokens.rows; ++token) {
      for (std::int64_t i = 0; i < tokens.columns; ++i) {
        // Of magnitudes that neither rise nor fall with the column.
        tokens.row(token)[i] *= i == kDead ? 0.0f : 0.25f * static_cast<float>(1 + i * 37 % 11);
      }
    }
  }

  Matrix weight;
  Matrix tokens;
};

WeightSettings settings_of(const Case& how) {
  WeightSettings settings;
  settings.bits = how.bits;
  settings.group_size = kGroup;
  settings.act_order = how.act_order;
  settings.static_groups = how.static_groups;
  settings.damping = how.damping;
  settings.search_clip = false;  // tested by itself
  return settings;
}

void expect_same(const Matrix& got, const Matrix& expected, const Reference& reference) {
  for (std::int64_t row = 0; row < got.rows; ++row) {
    for (std::int64_t i = 0; i < got.columns; ++i)
      ASSERT_NEAR(got.row(row)[i], expected.row(row)[i], 0.02 * reference.scale(row, 0)) << row << ", " << i;
  }
}

struct Solved {
  Layer layer;
  Square gram;
  Reference reference;
  Matrix expected;
};

/// A random layer and what GPTQ must make of it. `change`: of its Hessian.
template <class Change>
Solved solve(const Case& how, const Change& change) {
  for (unsigned seed = 1;; ++seed) {
    const Layer layer(seed);
    Square gram = gram_of(layer.tokens);
    change(gram);
    Reference reference(layer.weight, gram, how);
    const Matrix expected = reference.run();
    if (!reference.tied() || seed == 30) return {layer, gram, reference, expected};
  }
}

StageInputs inputs_of(const Solved& solved) {
  StageInputs inputs = inputs_of(solved.layer.tokens);
  for (std::size_t i = 0; i < solved.gram.size(); ++i) {
    for (std::size_t j = 0; j < solved.gram.size(); ++j)
      inputs.gram.values[i * solved.gram.size() + j] = static_cast<float>(solved.gram[i][j]);
  }
  return inputs;
}

/// Two inputs that go together more than each goes with itself.
void spoil(Square& gram) {
  double mean = 0;
  for (std::size_t i = 0; i < gram.size(); ++i) mean += gram[i][i] / static_cast<double>(gram.size());
  gram[8][9] = gram[9][8] = 4 * mean;
}

class Gptq : public testing::TestWithParam<Case> {};

TEST_P(Gptq, RoundsEveryWeightAsThePapersEquationsDo) {
  const Solved solved = solve(GetParam(), [](const Square& /*gram*/) {});
  ASSERT_FALSE(solved.reference.tied());
  expect_same(quantized("gptq", solved.layer.weight, inputs_of(solved), settings_of(GetParam())),
              solved.expected, solved.reference);
}

INSTANTIATE_TEST_SUITE_P(Orders, Gptq,
                         testing::Values(Case{"act_order_static_groups", 4, true, true, 0.01},
                                         Case{"act_order", 4, true, false, 0.01},
                                         Case{"file_order", 4, false, false, 0.01},
                                         Case{"much_damping", 4, true, true, 0.5}),
                         [](const auto& test) { return test.param.name; });

TEST(GptqRecovery, DampingRisesUntilTheHessianCanBeFactored) {
  Case how{"recovered", 4, true, true, 10};
  const Solved solved = solve(how, spoil);
  ASSERT_FALSE(solved.reference.tied());
  how.damping = 0.01;  // and from there 0.1, 1, which is not enough, and 10
  const Matrix got = quantized("gptq", solved.layer.weight, inputs_of(solved), settings_of(how));
  expect_same(got, solved.expected, solved.reference);

  WeightSettings rounding;
  rounding.group_size = kGroup;
  rounding.search_clip = false;
  const Matrix rounded = quantized("int4", solved.layer.weight, {}, rounding);
  EXPECT_GT(codes_apart(got, rounded, solved.reference.scale(0, 0)), 30) << "errors are still passed on";
}

TEST(GptqRecovery, AHessianWithoutSenseLeavesRounding) {
  const Layer layer(1);
  StageInputs inputs = inputs_of(layer.tokens);
  inputs.gram.row(8)[9] = inputs.gram.row(9)[8] = 1e30f;
  const Case how{"hopeless", 4, true, true, 0.01};
  const Matrix got = quantized("gptq", layer.weight, inputs, settings_of(how));
  for (std::int64_t row = 0; row < got.rows; ++row) {
    for (std::int64_t first = 0; first < got.columns; first += kGroup) {
      const auto group = std::span(layer.weight.row(row) + first, kGroup);
      double largest = 0;
      for (const float x : group) largest = std::max(largest, std::fabs(static_cast<double>(x)));
      const Grid grid{as_half(2 * largest / 15), 4};
      for (std::int64_t i = first; i < first + kGroup; ++i)
        ASSERT_NEAR(got.row(row)[i], grid.rounded(layer.weight.row(row)[i]), 0.02 * grid.scale);
    }
  }
}

}  // namespace
}  // namespace stepdown::quant
