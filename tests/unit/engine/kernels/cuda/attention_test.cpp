// Keys and values placed in pages and attended to on the device, against softmax(scale·q·k)·v in doubles over
// keys and values rounded by the definition of each type: single tokens and prompts, pages in any order with
// stale NaN behind the last token, shared key heads, windows, caps, and keys split among blocks.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "tests/unit/engine/kernels/cuda/backend.h"
#include "tests/unit/engine/kernels/hadamard.h"

#include "engine/base/half.h"

namespace stepdown::kernels::cuda {
namespace {

float stored(float value) {
  return f16_to_f32(f32_to_f16(value));
}

// Nearest of all E4M3 values; ties to the even code.
float nearest_e4m3(float value) {
  static const std::vector<float> kMagnitudes = [] {
    std::vector<float> all;
    for (int code = 0; code < 0x7f; ++code) {
      all.push_back(code < 8 ? std::ldexp(static_cast<float>(code), -9)
                             : std::ldexp(static_cast<float>(8 + code % 8), code / 8 - 10));
    }
    return all;
  }();
  const auto above = std::ranges::lower_bound(kMagnitudes, std::abs(value));
  if (above == kMagnitudes.end()) return std::copysign(kMagnitudes.back(), value);
  if (above == kMagnitudes.begin()) return std::copysign(0.0f, value);
  const float up = *above - std::abs(value);
  const float down = std::abs(value) - *(above - 1);
  const bool even = (above - kMagnitudes.begin()) % 2 == 0;
  return std::copysign(up < down || (up == down && even) ? *above : *(above - 1), value);
}

/// The element of largest magnitude is code 0, −8, whatever its sign; of several the first.
void round_to_four_bits(std::vector<float>& head) {
  float largest = 0;
  for (const float x : head) {
    if (std::abs(x) > std::abs(largest)) largest = x;
  }
  const float scale = largest / -8;
  for (float& x : head) {
    const float code = scale != 0 ? std::clamp(std::nearbyint(x / scale), -8.0f, 7.0f) : 0;
    x = code * stored(scale);
  }
}

/// As the cache gives it back: where it holds rotated heads, rotated still.
std::vector<float> rounded(KvElement element, std::vector<float> head) {
  if (holds_rotated(element)) head = rotated(head);
  if (element == KvElement::kHalf) {
    std::ranges::transform(head, head.begin(), stored);
    return head;
  }
  if (element == KvElement::kInt4) {
    round_to_four_bits(head);
    return head;
  }
  float largest = 0;
  for (const float x : head) largest = std::max(largest, std::abs(x));
  const bool fp8 = element == KvElement::kFp8;
  const float scale = largest / (fp8 ? 448.0f : 127.0f);
  for (float& x : head) {
    x = fp8 ? nearest_e4m3(x / scale) / 256 * stored(scale * 256) : std::nearbyint(x / scale) * stored(scale);
  }
  return head;
}

struct Shape {
  KvElement element;
  int heads, kv_heads, head_dim, dim;
};
struct Slice {
  int position, tokens;
};
struct Rule {
  float softcap = 0;
  int window = 0;
  int splits = 1;
  bool whole = false;  ///< projections are whole numbers, so that many of a head are as large
};

constexpr int kPages = 12;
constexpr int kTablePages = 4;

class AttentionTest : public OnBackends {
 protected:
  // Every slice is a sequence of its own: all its tokens before `position` are placed first, then it is
  // attended to.
  void expect_attention(const Shape& shape, const std::vector<Slice>& slices, const Rule& rule) {
    shape_ = shape;
    const int width = (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
    KvLayer cache{nullptr, 0, shape.kv_heads, shape.dim, shape.element};
    cache.page_bytes = shape.kv_heads * cache.head_bytes() + 256;
    // Pages hold NaN from before, in every type: 0x7f bytes are NaN as FP8 and as halves. Padded dims must be
    // zeros.
    std::vector<std::byte> stale(static_cast<std::size_t>(kPages * cache.page_bytes), std::byte{0x7f});
    if (shape.head_dim < shape.dim) std::ranges::fill(stale, std::byte{0});
    const Buffer pages = to_device(stale);
    cache.pages = pages.as();

    std::mt19937 random(11);
    std::normal_distribution<float> normal;
    std::vector<std::int32_t> order(kPages);
    for (int i = 0; i < kPages; ++i) order[static_cast<std::size_t>(i)] = (i * 5 + 3) % kPages;
    std::vector<std::int32_t> tables;
    std::vector<AttentionItem> items;
    std::vector<float> all;  // projections of every token of every sequence
    std::vector<TokenPlace> places;
    std::vector<std::int32_t> attended;  // indices into `all` of the rows that attend
    std::vector<int> sequence_first;     // by attending row
    const int group = shape.heads / shape.kv_heads;
    int item_tokens = 1;
    for (const Slice& slice : slices) item_tokens = std::max(item_tokens, slice.tokens > 1 ? 64 / group : 1);
    for (std::size_t s = 0; s < slices.size(); ++s) {
      const Slice& slice = slices[s];
      const int first = static_cast<int>(places.size());
      for (int i = 0; i < kTablePages; ++i)
        tables.push_back(order[(s * kTablePages + static_cast<std::size_t>(i)) % kPages]);
      for (int i = 0; i < slice.position + slice.tokens; ++i) {
        for (int k = 0; k < width; ++k)
          all.push_back(rule.whole ? std::round(normal(random)) : normal(random));
        places.push_back({i, tables[s * kTablePages + static_cast<std::size_t>(i / KvLayer::kPageTokens)]});
      }
      for (int i = 0; i < slice.tokens; i += item_tokens) {
        items.push_back({static_cast<std::int32_t>(attended.size()), std::min(item_tokens, slice.tokens - i),
                         slice.position + i, static_cast<std::int32_t>(s * kTablePages)});
        for (int k = 0; k < items.back().tokens; ++k) {
          attended.push_back(first + slice.position + i + k);
          sequence_first.push_back(first);
        }
      }
    }
    const Buffer projected = to_device(all);
    const Buffer where = to_device(places);
    const auto tokens = static_cast<std::int32_t>(places.size());
    const auto query_width = static_cast<std::size_t>(shape.heads * shape.head_dim);
    const Buffer all_queries(device(), static_cast<std::size_t>(tokens) * query_width * 2);
    run(device().operations().place(device().stream(), {.projected = projected.as<float>(),
                                                        .stride = width,
                                                        .tokens = tokens,
                                                        .heads = shape.heads,
                                                        .kv_heads = shape.kv_heads,
                                                        .head_dim = shape.head_dim,
                                                        .places = where.as<TokenPlace>(),
                                                        .cache = cache,
                                                        .queries = all_queries.as<std::uint16_t>()}));
    const auto placed = to_host<std::uint16_t>(all_queries);
    std::vector<std::uint16_t> queries;
    for (const std::int32_t row : attended) {
      const auto from =
          placed.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(row) * query_width);
      queries.insert(queries.end(), from, from + static_cast<std::ptrdiff_t>(query_width));
    }
    const Buffer query_rows = to_device(queries);
    const Buffer item_rows = to_device(items);
    const Buffer table_rows = to_device(tables);
    const std::size_t stride = query_width + 8;
    const Buffer out(device(), attended.size() * stride * 2);
    PagedAttention arguments{.cache = cache,
                             .queries = query_rows.as<std::uint16_t>(),
                             .heads = shape.heads,
                             .head_dim = shape.head_dim,
                             .scale = 0.3f,
                             .softcap = rule.softcap,
                             .window = rule.window,
                             .items = item_rows.as<AttentionItem>(),
                             .item_count = static_cast<std::int32_t>(items.size()),
                             .item_tokens = item_tokens,
                             .rows = static_cast<std::int32_t>(attended.size()),
                             .tables = table_rows.as<std::int32_t>(),
                             .splits = rule.splits,
                             .partials = nullptr,
                             .out = out.as<std::uint16_t>(),
                             .stride = static_cast<std::int32_t>(stride)};
    const Buffer partials(device(), arguments.partial_floats() * sizeof(float));
    arguments.partials = partials.as<float>();
    run(device().operations().attend(device().stream(), arguments));
    const auto results = to_host<std::uint16_t>(out);

    for (std::size_t row = 0; row < attended.size(); ++row) {
      for (int head = 0; head < shape.heads; ++head) {
        const auto expected = reference(all, width, attended[row], sequence_first[row], head, rule);
        for (int i = 0; i < shape.head_dim; ++i) {
          const float result =
              f16_to_f32(results[row * stride + static_cast<std::size_t>(head * shape.head_dim + i)]);
          ASSERT_NEAR(static_cast<double>(result), expected[static_cast<std::size_t>(i)], 4e-3)
              << "row " << row << " head " << head << " dim " << i << " element "
              << static_cast<int>(shape.element);
        }
      }
    }
  }

 private:
  std::vector<float> head_of(const std::vector<float>& all, int width, int row, int index) const {
    const auto first = all.begin() + row * width + index * shape_.head_dim;
    return {first, first + shape_.head_dim};
  }

  std::vector<double> reference(const std::vector<float>& all, int width, int row, int first, int head,
                                const Rule& rule) const {
    const int kv_head = head / (shape_.heads / shape_.kv_heads);
    std::vector<float> query = head_of(all, width, row, head);
    if (holds_rotated(shape_.element)) query = rotated(query);
    std::ranges::transform(query, query.begin(), stored);
    const int oldest = rule.window > 0 ? std::max(first, row + 1 - rule.window) : first;
    std::vector<double> scores;
    double largest = -std::numeric_limits<double>::infinity();
    for (int token = oldest; token <= row; ++token) {
      const std::vector<float> key =
          rounded(shape_.element, head_of(all, width, token, shape_.heads + kv_head));
      double score = 0;
      for (std::size_t i = 0; i < key.size(); ++i)
        score += static_cast<double>(query[i]) * static_cast<double>(key[i]);
      score *= 0.3;
      if (rule.softcap > 0)
        score = static_cast<double>(rule.softcap) * std::tanh(score / static_cast<double>(rule.softcap));
      scores.push_back(score);
      largest = std::max(largest, score);
    }
    std::vector<double> out(static_cast<std::size_t>(shape_.head_dim));
    double total = 0;
    for (int token = oldest; token <= row; ++token) {
      const double weight = std::exp(scores[static_cast<std::size_t>(token - oldest)] - largest);
      const std::vector<float> value =
          rounded(shape_.element, head_of(all, width, token, shape_.heads + shape_.kv_heads + kv_head));
      for (std::size_t i = 0; i < out.size(); ++i) out[i] += weight * static_cast<double>(value[i]);
      total += weight;
    }
    for (double& x : out) x /= total;
    return holds_rotated(shape_.element) ? rotated(out) : out;
  }

  Shape shape_{};
};

constexpr KvElement kElements[] = {KvElement::kHalf, KvElement::kInt8, KvElement::kFp8, KvElement::kInt4};

TEST_P(AttentionTest, SingleTokensOfSequencesOfManyLengths) {
  for (const KvElement element : kElements) {
    expect_attention({element, 4, 2, 64, 64}, {{0, 1}, {63, 1}, {64, 1}}, {});
    expect_attention({element, 8, 1, 128, 128}, {{150, 1}}, {.splits = 3});
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionTest, PromptsAndTheirChunks) {
  for (const KvElement element : kElements) {
    expect_attention({element, 4, 2, 64, 64}, {{0, 37}, {70, 5}}, {});
    if (HasFatalFailure()) return;
  }
  expect_attention({KvElement::kHalf, 2, 2, 128, 128}, {{0, 70}}, {.splits = 2});
}

TEST_P(AttentionTest, NarrowAndWideHeads) {
  expect_attention({KvElement::kHalf, 2, 1, 24, 64}, {{66, 1}}, {});
  expect_attention({KvElement::kInt8, 2, 1, 80, 128}, {{3, 9}}, {});
  // Heads whose largest power of two is one that a lane mixes alone, with others, and not at all.
  expect_attention({KvElement::kInt8, 2, 1, 34, 64}, {{0, 3}}, {});
  expect_attention({KvElement::kInt8, 2, 1, 36, 64}, {{0, 3}}, {});
  expect_attention({KvElement::kInt8, 2, 1, 33, 64}, {{0, 3}}, {});
  expect_attention({KvElement::kInt8, 2, 1, 256, 256}, {{70, 2}}, {.splits = 2});
  expect_attention({KvElement::kFp8, 2, 1, 256, 256}, {{65, 1}}, {.splits = 2});
  expect_attention({KvElement::kInt4, 2, 1, 256, 256}, {{70, 2}}, {.splits = 2});
  expect_attention({KvElement::kInt4, 2, 1, 80, 128}, {{3, 9}}, {});
  expect_attention({KvElement::kHalf, 1, 1, 256, 256}, {{0, 3}}, {});
  expect_attention({KvElement::kHalf, 32, 1, 64, 64}, {{9, 1}},
                   {});  // more heads than a narrow block has rows
}

// Of four bits the sign of the largest element decides which codes there are: heads that no matrix rotates,
// with several of one magnitude and both signs, and none but zeros.
TEST_P(AttentionTest, TheFirstOfTheLargestDecidesTheSignOfTheScale) {
  expect_attention({KvElement::kInt4, 2, 1, 33, 64}, {{5, 60}}, {.whole = true});
  expect_attention({KvElement::kInt4, 1, 1, 1, 64}, {{0, 9}}, {.whole = true});
}

TEST_P(AttentionTest, WindowsAndCaps) {
  expect_attention({KvElement::kHalf, 2, 1, 64, 64}, {{140, 1}}, {.window = 24, .splits = 3});
  expect_attention({KvElement::kHalf, 2, 1, 64, 64}, {{60, 12}}, {.softcap = 1.5f, .window = 7});
  expect_attention({KvElement::kInt8, 2, 1, 64, 64}, {{0, 1}}, {.window = 1, .splits = 4});
  expect_attention({KvElement::kInt4, 8, 2, 64, 64}, {{70, 11}}, {.softcap = 1.5f, .window = 20});
}

INSTANTIATE_TEST_SUITE_P(Cuda, AttentionTest, ::testing::ValuesIn(kBackends), backend_name);

}  // namespace
}  // namespace stepdown::kernels::cuda
