#pragma once

#include "engine/kernels/cuda/attend_page.h"

// Attention of one block of query rows over a run of pages, by online softmax (Dao et al. 2022) on the tensor
// cores. A row is one query head of one token; the heads that share a key-value head are rows side by side,
// so that a page is read once for all of them.
namespace stepdown::kernels::cuda {

inline constexpr int kAttendWarps = 4;
inline constexpr float kLog2E = 1.44269504f;

/// kWide: each warp has 16 rows of its own and takes whole pages: prefill. Otherwise all warps have the same
/// 16 rows and take 16 of a page's 64 tokens each, and their sums are merged at the end: decoding.
template <KvElement kElement, int kDim, bool kWide>
struct AttendShape {
  using Page = cuda::Page<kElement, kDim>;
  static constexpr int kRows = kWide ? 16 * kAttendWarps : 16;
  static constexpr int kChunks = kWide ? 4 : 1;  ///< of 16 tokens, that a warp takes of a page
  static constexpr int kPages =
      kDim > 128 ? 1 : 2;  ///< in shared memory: the next is fetched beside the work
  static constexpr int kPageBytes = Page::Shape::kBytes;
  // Narrow: the warps' sums, [warp][row]{dims, maximum, weight}.
  static constexpr int kMergePitch = kDim + 2;
  static constexpr int kMergeBytes = kWide ? 0 : kAttendWarps * 16 * kMergePitch * 4;
  static constexpr std::size_t kShared =
      kPages * kPageBytes > kMergeBytes ? std::size_t{kPages} * kPageBytes : std::size_t{kMergeBytes};
};

/// Running softmax of a warp's 16 rows; this lane has rows g and g + 8, and of them dims 8n + 2t, + 1.
template <int kDim>
struct RowSums {
  float sum[kDim / 8][4];
  float maximum[2];
  float weight[2];

  __device__ void clear() {
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sum[n][i] = 0.0f;
    }
    maximum[0] = maximum[1] = -INFINITY;
    weight[0] = weight[1] = 0.0f;
  }

  /// Makes room for scores up to `largest`: what was added up so far is taken times the returned factors.
  __device__ void raise(const float (&largest)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float next = fmaxf(maximum[half], largest[half]);
      const float factor = next == -INFINITY ? 1.0f : exponential2(maximum[half] - next);
      maximum[half] = next;
      weight[half] *= factor;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        sum[n][2 * half] *= factor;
        sum[n][2 * half + 1] *= factor;
      }
    }
  }

  /// Rotates the sums back, of values that place.cu's rotate_head rotated; all of the warp takes part. It is
  /// linear, so that sums over other tokens may be added afterwards.
  __device__ void rotate(int head_dim) {
    const int block = head_dim & -head_dim;
    const int t = static_cast<int>(threadIdx.x) % 4;
    const float factor = 1.0f / sqrtf(static_cast<float>(block));
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (block > 1) mix(sum[n][2 * half], sum[n][2 * half + 1]);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if (block > 2) mix_lanes(sum[n][i], 1, t);
        if (block > 4) mix_lanes(sum[n][i], 2, t);
      }
    }
#pragma unroll
    for (int apart = 1; apart < kDim / 8; apart *= 2) {
      if (8 * apart < block) mix_apart(apart);
    }
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sum[n][i] *= factor;
    }
  }

 private:
  __device__ void mix_apart(int apart) {
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if ((n & apart) == 0) mix(sum[n][i], sum[n + apart][i]);
      }
    }
  }
  static __device__ void mix(float& left, float& right) {
    const float a = left;
    const float b = right;
    left = a + b;
    right = a - b;
  }
  /// Of this lane and the one whose t differs by the bit.
  static __device__ void mix_lanes(float& mine, int bit, int t) {
    const float other = exchange(mine, bit);
    mine = (t & bit) == 0 ? mine + other : other - mine;
  }
};

/// What bounds the tokens that a block's rows see.
struct Sight {
  int first;   ///< position of the block's first token
  int tokens;  ///< of the block
  int group;   ///< rows a token
  int window;

  __device__ int position(int row) const { return first + row / group; }
  __device__ bool sees(int row, int token) const {
    const int at = position(row);
    return row < tokens * group && token <= at && (window == 0 || token > at - window);
  }
  __device__ int end() const { return first + tokens; }
  __device__ int begin() const { return window > 0 && first >= window ? first + 1 - window : 0; }
};

/// Adds tokens 16·chunk…+15 of the page at `page_token` to the sums.
template <KvElement kElement, int kDim>
__device__ inline void attend_chunk(const Page<kElement, kDim>& page, int page_token, int chunk,
                                    int first_row, const Sight& sight, float scale, float softcap,
                                    const Word (&queries)[kDim / 16][4], RowSums<kDim>& sums) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int g = lane / 4;
  const int t = lane % 4;
  // Of the 16 tokens, column 2t + e of score tile j is token 4t + 2j + e: this lane's four tokens lie side by
  // side, as it then reads them of the values.
  float score[2][4] = {};
#pragma unroll
  for (int dims = 0; dims < kDim / 32; ++dims) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      Word keys[4];
      page.keys(chunk * 16 + g / 2 * 4 + 2 * j + g % 2, dims, t, keys);
      const Word first[2] = {keys[0], keys[1]};
      const Word second[2] = {keys[2], keys[3]};
      multiply_accumulate(score[j], queries[2 * dims], first);
      multiply_accumulate(score[j], queries[2 * dims + 1], second);
    }
  }
  float largest[2] = {-INFINITY, -INFINITY};
#pragma unroll
  for (int j = 0; j < 2; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int within = chunk * 16 + 4 * t + 2 * j + i % 2;
      float s = score[j][i] * scale * page.key_scale(within);
      if (softcap > 0.0f) s = softcap * tanhf(s / softcap);
      // NaN must not lose to the maximum: it then reaches the weights as NaN.
      score[j][i] = sight.sees(first_row + g + i / 2 * 8, page_token + within) ? s * kLog2E : -INFINITY;
      largest[i / 2] = fmaxf(largest[i / 2], score[j][i]);
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    largest[half] = fmaxf(largest[half], exchange(largest[half], 1));
    largest[half] = fmaxf(largest[half], exchange(largest[half], 2));
  }
  sums.raise(largest);
  Word weights[4];  // operand A: registers j·2 + half
#pragma unroll
  for (int j = 0; j < 2; ++j) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float p[2];
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const float s = score[j][2 * half + e];
        p[e] = s == -INFINITY ? 0.0f : exponential2(s - sums.maximum[half]);
        sums.weight[half] += p[e];
      }
      weights[2 * j + half] = pack_halves(p[0], p[1]);
    }
  }
  // Slots behind the last token hold what was there before, maybe NaN, which no weight of 0 makes harmless.
  Word there[2];
#pragma unroll
  for (int j = 0; j < 2; ++j) {
    const int token = page_token + chunk * 16 + 4 * t + 2 * j;
    there[j] = (token < sight.end() ? 0x0000ffffu : 0u) | (token + 1 < sight.end() ? 0xffff0000u : 0u);
  }
  Word scales[2];
  page.value_scales(chunk, t, scales);
#pragma unroll
  for (int n = 0; n < kDim / 8; ++n) {
    Word values[2];
    page.values(n, g, chunk, t, scales, values);
    values[0] &= there[0];
    values[1] &= there[1];
    multiply_accumulate(sums.sum[n], weights, values);
  }
}

}  // namespace stepdown::kernels::cuda
