#include "engine/kernels/cuda/operations.h"
#include "engine/kernels/cuda/reduce.h"
#include "engine/kernels/cuda/rounding.h"

namespace stepdown::kernels::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kMostDims = 256;

// A block a head of a token: the head stays in shared memory from the projection to the cache.
struct Head {
  float* values;
  int dims;

  template <class Body>
  __device__ void each(const Body& body) const {
    for (int i = static_cast<int>(threadIdx.x); i < dims; i += kThreads) body(i, values[i]);
  }
};

__device__ void norm_head(const Head& head, const float* weight, float epsilon) {
  float squares = 0.0f;
  head.each([&](int /*i*/, float x) { squares += x * x; });
  const float factor = 1.0f / sqrtf(over_block<Sum>(squares) / static_cast<float>(head.dims) + epsilon);
  head.each([&](int i, float& x) { x *= factor * weight[i]; });
  wait_for_block();
}

__device__ void apply_rope(const Head& head, const Placement& of, int position) {
  for (int i = static_cast<int>(threadIdx.x); i < of.pairs; i += kThreads) {
    float sine = 0.0f;
    float cosine = 0.0f;
    sincosf(static_cast<float>(position) * of.frequencies[i], &sine, &cosine);
    float& left = head.values[of.neighbours ? 2 * i : i];
    float& right = head.values[of.neighbours ? 2 * i + 1 : i + of.pairs];
    const float a = left;
    const float b = right;
    left = (a * cosine - b * sine) * of.magnitude;
    right = (a * sine + b * cosine) * of.magnitude;
  }
  wait_for_block();
}

// As model::rotate_head does.
__device__ void rotate_head(const Head& head) {
  const int block = head.dims & -head.dims;
  for (int step = 1; step < block; step *= 2) {
    for (int pair = static_cast<int>(threadIdx.x); pair < head.dims / 2; pair += kThreads) {
      float* const left = head.values + pair / step * 2 * step + pair % step;
      const float a = left[0];
      const float b = left[step];
      left[0] = a + b;
      left[step] = a - b;
    }
    wait_for_block();
  }
  const float factor = 1.0f / sqrtf(static_cast<float>(block));
  head.each([&](int /*i*/, float& x) { x *= factor; });
  wait_for_block();
}

/// How elements become codes, as model::coding_of says.
struct Coding {
  KvElement element;

  /// The code of the element of largest magnitude; four bits give it that one whatever its sign, as their
  /// other side ends one code earlier.
  __device__ float top() const {
    return element == KvElement::kFp8 ? 448.0f : element == KvElement::kInt8 ? 127.0f : -kInt4Zero;
  }
  /// That attend_page.h reads a code in: halves_of_e4m3 counts in units of 2⁻⁸.
  __device__ float unit() const { return element == KvElement::kFp8 ? 1.0f / 256.0f : 1.0f; }
  __device__ std::uint8_t code(float scaled) const {
    if (element == KvElement::kFp8) return rounded_e4m3(scaled);
    const float nearest = rintf(scaled);
    if (element == KvElement::kInt4)
      return static_cast<std::uint8_t>(fminf(fmaxf(nearest + kInt4Zero, 0.0f), 15.0f));
    return static_cast<std::uint8_t>(static_cast<std::int8_t>(fminf(fmaxf(nearest, -127.0f), 127.0f)));
  }
};

/// NaN when any value is not finite.
__device__ float scale_of(const Head& head, const Coding& coding) {
  float largest = 0.0f;
  float poison = 0.0f;
  head.each([&](int /*i*/, float x) {
    largest = fmaxf(largest, fabsf(x));
    poison += x * 0.0f;
  });
  largest = over_block<Largest>(largest);
  if (coding.element == KvElement::kInt4) {  // with its sign, that of the first where several are as large
    float first = -INFINITY;
    head.each([&](int i, float x) {
      if (fabsf(x) == largest) first = fmaxf(first, -static_cast<float>(i));
    });
    first = over_block<Largest>(first);
    if (first > -INFINITY) largest = head.values[static_cast<int>(-first)];
  }
  return largest / coding.top() + over_block<Sum>(poison);
}

// Writes a head to the cache: keys along the token, values across the page's tokens.
__device__ void store_head(const Head& head, const KvLayer& cache, const TokenPlace& place, int kv_head,
                           bool is_value) {
  const int slot = place.position % KvLayer::kPageTokens;
  std::byte* const base = cache.pages + place.page * cache.page_bytes + kv_head * cache.head_bytes();
  std::byte* const data = base + (is_value ? cache.values_offset() : 0);
  const auto index = [&](int i) {
    return is_value ? std::int64_t{i} * KvLayer::kPageTokens + slot : std::int64_t{slot} * cache.dim + i;
  };
  if (cache.element == KvElement::kHalf) {
    auto* const halves = reinterpret_cast<std::uint16_t*>(data);
    head.each([&](int i, float x) { halves[index(i)] = static_cast<std::uint16_t>(pack_halves(x, 0.0f)); });
    return;
  }
  const Coding coding{cache.element};
  const float scale = scale_of(head, coding);
  const auto code = [&](float x) { return coding.code(fabsf(scale) > 0.0f ? x / scale : 0.0f); };
  if (cache.element == KvElement::kInt4) {
    const auto nibble = [&](int dim) { return dim < head.dims ? code(head.values[dim]) : kInt4Zero; };
    for (int i = static_cast<int>(threadIdx.x); i < cache.dim / 2; i += kThreads) {
      const Int4Pair pair = is_value ? Int4Pair::of_value(i) : Int4Pair::of_key(i);
      data[is_value ? index(i) : std::int64_t{slot} * (cache.dim / 2) + i] =
          static_cast<std::byte>(nibble(pair.low) | nibble(pair.high) << 4);
    }
  } else {
    head.each([&](int i, float x) { data[index(i)] = static_cast<std::byte>(code(x)); });
  }
  if (threadIdx.x != 0) return;
  auto* const scales = reinterpret_cast<std::uint16_t*>(base + cache.scales_offset());
  scales[(is_value ? KvLayer::kPageTokens : 0) + slot] =
      static_cast<std::uint16_t>(pack_halves(scale / coding.unit(), 0.0f));
}

__global__ void __launch_bounds__(kThreads) place_heads(Placement of) {
  __shared__ float values[kMostDims];
  const int token = static_cast<int>(blockIdx.y);
  const int index = static_cast<int>(blockIdx.x);  // query heads, then key heads, then value heads
  const bool is_query = index < of.heads;
  const bool is_value = index >= of.heads + of.kv_heads;
  const Head head{values, of.head_dim};
  const float* const from = of.projected + std::int64_t{token} * of.stride + index * of.head_dim;
  head.each(
      [&](int i, float& x) { x = from[i] + (of.bias != nullptr ? of.bias[index * of.head_dim + i] : 0.0f); });
  wait_for_block();
  const TokenPlace place = of.places[token];
  if (!is_value) {
    const float* const norm = is_query ? of.query_norm : of.key_norm;
    if (norm != nullptr) norm_head(head, norm, of.epsilon);
    if (of.frequencies != nullptr) apply_rope(head, of, place.position);
  }
  if (holds_rotated(of.cache.element)) rotate_head(head);
  if (is_query) {
    std::uint16_t* const to = of.queries + (std::int64_t{token} * of.heads + index) * of.head_dim;
    head.each([&](int i, float x) { to[i] = rounded_half(x); });
  } else {
    store_head(head, of.cache, place, (index - of.heads) % of.kv_heads, is_value);
  }
}

}  // namespace

Failure place(Stream stream, const Placement& arguments) {
  if (arguments.head_dim > kMostDims || arguments.head_dim > arguments.cache.dim) return "a head is too wide";
  const auto heads = static_cast<unsigned>(arguments.heads + 2 * arguments.kv_heads);
  return launch(place_heads, dim3{heads, static_cast<unsigned>(arguments.tokens), 1}, kThreads, 0, stream,
                arguments);
}

}  // namespace stepdown::kernels::cuda
