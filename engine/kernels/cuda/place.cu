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
  // The scale is the largest magnitude over the largest code, and NaN when any value is not finite.
  const bool fp8 = cache.element == KvElement::kFp8;
  float largest = 0.0f;
  float poison = 0.0f;
  head.each([&](int /*i*/, float x) {
    largest = fmaxf(largest, fabsf(x));
    poison += x * 0.0f;
  });
  const float scale = over_block<Largest>(largest) / (fp8 ? 448.0f : 127.0f) + over_block<Sum>(poison);
  head.each([&](int i, float x) {
    const float scaled = scale > 0.0f ? x / scale : 0.0f;
    data[index(i)] = static_cast<std::byte>(fp8 ? rounded_e4m3(scaled)
                                                : static_cast<std::uint8_t>(static_cast<std::int8_t>(
                                                      fminf(fmaxf(rintf(scaled), -127.0f), 127.0f))));
  });
  if (threadIdx.x != 0) return;
  auto* const scales = reinterpret_cast<std::uint16_t*>(base + cache.scales_offset());
  constexpr float kE4m3Unit = 1.0f / 256.0f;  // what halves_of_e4m3 counts in
  scales[(is_value ? KvLayer::kPageTokens : 0) + slot] =
      static_cast<std::uint16_t>(pack_halves(fp8 ? scale / kE4m3Unit : scale, 0.0f));
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
