#include "engine/kernels/cuda/attend_block.h"
#include "engine/kernels/cuda/attend_format.h"

#ifndef STEPDOWN_HEAD_DIM
#error "compile once for each width of a head, as engine/kernels/cuda/CMakeLists.txt does"
#endif

namespace stepdown::kernels::cuda {
namespace {

/// Operand A of the block's rows, over all dims: lane's dims 8t…8t+7 of each 32 are those of its keys.
template <int kDim>
__device__ void load_queries(const PagedAttention& of, const AttentionItem& item, int kv_head, int first_row,
                             int group, Word (&out)[kDim / 16][4]) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first_row + lane / 4 + half * 8;
    const bool real = row < item.tokens * group;
    const std::int64_t token = item.row + (real ? row / group : 0);
    const std::uint16_t* from = of.queries + (token * of.heads + kv_head * group + row % group) * of.head_dim;
#pragma unroll
    for (int dims = 0; dims < kDim / 32; ++dims) {
#pragma unroll
      for (int pair = 0; pair < 4; ++pair) {  // two pairs of a step are registers `half` and `half + 2`
        const int dim = dims * 32 + lane % 4 * 8 + pair * 2;
        Word word = 0;
        if (real && dim < of.head_dim) word = from[dim];
        if (real && dim + 1 < of.head_dim) word |= Word{from[dim + 1]} << 16;
        out[2 * dims + pair / 2][half + pair % 2 * 2] = word;
      }
    }
  }
}

/// Where the sums of one row go: to the answer, or beside those of other runs of pages.
struct RowTarget {
  std::uint16_t* out;  ///< null: partial
  float* partial;
};
__device__ inline RowTarget target_of(const PagedAttention& of, const AttentionItem& item, int head,
                                      int token, int split) {
  const std::int64_t row = item.row + token;
  if (of.splits == 1) return {of.out + row * of.stride + head * of.head_dim, nullptr};
  const std::int64_t index = (std::int64_t{split} * of.rows + row) * of.heads + head;
  return {nullptr, of.partials + index * (of.head_dim + 2)};
}
__device__ inline void put(const PagedAttention& of, const RowTarget& target, int dim, float sum,
                           float weight) {
  if (dim >= of.head_dim) return;
  if (target.out != nullptr) {
    target.out[dim] = rounded_half(sum / weight);
  } else {
    target.partial[dim] = sum;
  }
}
__device__ inline void put_weight(const PagedAttention& of, const RowTarget& target, float maximum,
                                  float weight) {
  if (target.partial == nullptr) return;
  target.partial[of.head_dim] = maximum;
  target.partial[of.head_dim + 1] = weight;
}

/// Wide: a warp's rows are its own.
template <int kDim>
__device__ void store_rows(const PagedAttention& of, const AttentionItem& item, int kv_head, int first_row,
                           int group, RowSums<kDim>& sums) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first_row + lane / 4 + half * 8;
    if (row >= item.tokens * group) continue;
    const RowTarget target =
        target_of(of, item, kv_head * group + row % group, row / group, static_cast<int>(blockIdx.z));
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      put(of, target, n * 8 + lane % 4 * 2, sums.sum[n][2 * half], sums.weight[half]);
      put(of, target, n * 8 + lane % 4 * 2 + 1, sums.sum[n][2 * half + 1], sums.weight[half]);
    }
    if (lane % 4 == 0) put_weight(of, target, sums.maximum[half], sums.weight[half]);
  }
}

/// Narrow: all warps have sums of the same rows, over other tokens.
template <int kDim>
__device__ void merge_warps(const PagedAttention& of, const AttentionItem& item, int kv_head, int group,
                            const RowSums<kDim>& sums) {
  constexpr int kPitch = kDim + 2;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  float* const all = reinterpret_cast<float*>(launch_memory());
  wait_for_block();  // the pages are done with
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float* const mine = all + (warp * 16 + lane / 4 + half * 8) * kPitch;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      mine[n * 8 + lane % 4 * 2] = sums.sum[n][2 * half];
      mine[n * 8 + lane % 4 * 2 + 1] = sums.sum[n][2 * half + 1];
    }
    if (lane % 4 == 0) {
      mine[kDim] = sums.maximum[half];
      mine[kDim + 1] = sums.weight[half];
    }
  }
  wait_for_block();
  for (int row = warp; row < item.tokens * group; row += kAttendWarps) {
    const auto of_warp = [&](int other, int index) { return all[(other * 16 + row) * kPitch + index]; };
    float maximum = -INFINITY;
    for (int other = 0; other < kAttendWarps; ++other) maximum = fmaxf(maximum, of_warp(other, kDim));
    float factor[kAttendWarps];
    float weight = 0.0f;
#pragma unroll
    for (int other = 0; other < kAttendWarps; ++other) {
      const float of_other = of_warp(other, kDim);
      factor[other] = of_other == -INFINITY ? 0.0f : exponential2(of_other - maximum);
      weight += factor[other] * of_warp(other, kDim + 1);
    }
    const RowTarget target =
        target_of(of, item, kv_head * group + row % group, row / group, static_cast<int>(blockIdx.z));
    for (int dim = lane; dim < kDim; dim += kLanes) {
      float sum = 0.0f;
#pragma unroll
      for (int other = 0; other < kAttendWarps; ++other)
        sum += factor[other] > 0.0f || factor[other] != factor[other] ? factor[other] * of_warp(other, dim)
                                                                      : 0.0f;
      put(of, target, dim, sum, weight);
    }
    if (lane == 0) put_weight(of, target, maximum, weight);
  }
}

template <KvElement kElement, int kDim, bool kWide>
__global__ void __launch_bounds__(kAttendWarps* kLanes) attend_rows(PagedAttention of) {
  using Shape = AttendShape<kElement, kDim, kWide>;
  constexpr int kPageTokens = KvLayer::kPageTokens;
  const int kv_head = static_cast<int>(blockIdx.x);
  const AttentionItem item = of.items[blockIdx.y];
  if (item.tokens == 0) return;
  const int group = of.heads / of.cache.kv_heads;
  const int warp = static_cast<int>(threadIdx.x) / kLanes;
  const int first_row = kWide ? warp * 16 : 0;
  const Sight sight{item.position, item.tokens, group, of.window};

  // This block's run of the pages that any of its rows sees.
  const int first_page = sight.begin() / kPageTokens;
  const int pages = (sight.end() + kPageTokens - 1) / kPageTokens - first_page;
  const int share = (pages + of.splits - 1) / of.splits;
  const int begin = first_page + static_cast<int>(blockIdx.z) * share;
  const int end = min(begin + share, first_page + pages);

  std::byte* const memory = launch_memory();
  const auto page_at = [&](int page) {
    return typename Shape::Page{memory + (page - begin) % Shape::kPages * Shape::kPageBytes};
  };
  const auto fetch = [&](int page) {
    const std::int32_t where = of.tables[item.page_table + page];
    page_at(page).fetch(of.cache.pages + where * of.cache.page_bytes + kv_head * of.cache.head_bytes(),
                        kAttendWarps * kLanes);
  };
  Word queries[kDim / 16][4];
  load_queries<kDim>(of, item, kv_head, first_row, group, queries);
  RowSums<kDim> sums;
  sums.clear();
  if (Shape::kPages > 1) {
    if (begin < end) fetch(begin);
    close_copies();
  }
  for (int page = begin; page < end; ++page) {
    wait_for_block();  // all are done with the page whose place the next one takes
    const int ahead = page + Shape::kPages - 1;
    if (ahead < end) fetch(ahead);
    close_copies();
    wait_for_copies<Shape::kPages - 1>();
    wait_for_block();
#pragma unroll 1
    for (int i = 0; i < Shape::kChunks; ++i) {
      const int chunk = kWide ? i : warp;
      if (page * kPageTokens + chunk * 16 >= sight.end()) break;
      attend_chunk<kElement, kDim>(page_at(page), page * kPageTokens, chunk, first_row, sight, of.scale,
                                   of.softcap, queries, sums);
    }
  }
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    sums.weight[half] += exchange(sums.weight[half], 1);
    sums.weight[half] += exchange(sums.weight[half], 2);
  }
  if constexpr (holds_rotated(kElement)) sums.rotate(of.head_dim);
  if constexpr (kWide) {
    store_rows<kDim>(of, item, kv_head, first_row, group, sums);
  } else {
    merge_warps<kDim>(of, item, kv_head, group, sums);
  }
}

template <KvElement kElement, int kDim, bool kWide>
Failure launch_rows(Stream stream, const PagedAttention& of) {
  return launch(attend_rows<kElement, kDim, kWide>,
                dim3{static_cast<unsigned>(of.cache.kv_heads), static_cast<unsigned>(of.item_count),
                     static_cast<unsigned>(of.splits)},
                kAttendWarps * kLanes, AttendShape<kElement, kDim, kWide>::kShared, stream, of);
}

template <KvElement kElement, int kDim>
Failure launch_element(Stream stream, const PagedAttention& of) {
  const bool wide = of.item_tokens * (of.heads / of.cache.kv_heads) > 16;
  return wide ? launch_rows<kElement, kDim, true>(stream, of)
              : launch_rows<kElement, kDim, false>(stream, of);
}

}  // namespace

template <int kDim>
Failure attend_format(Stream stream, const PagedAttention& of) {
  switch (of.cache.element) {
    case KvElement::kHalf:
      return launch_element<KvElement::kHalf, kDim>(stream, of);
    case KvElement::kInt8:
      return launch_element<KvElement::kInt8, kDim>(stream, of);
    case KvElement::kFp8:
      return launch_element<KvElement::kFp8, kDim>(stream, of);
    case KvElement::kInt4:
      return launch_element<KvElement::kInt4, kDim>(stream, of);
  }
  return "unknown element of the KV cache";
}

template Failure attend_format<STEPDOWN_HEAD_DIM>(Stream, const PagedAttention&);

}  // namespace stepdown::kernels::cuda
