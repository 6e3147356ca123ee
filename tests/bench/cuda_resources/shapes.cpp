// Prints what the CUDA sources themselves say of shared memory and of bytes a weight, for `run`.
#include <cstdio>

#include "engine/kernels/cuda/attend_block.h"
#include "engine/kernels/cuda/multiply_few.h"
#include "engine/kernels/cuda/multiply_many.h"

using namespace stepdown::kernels::cuda;

template <KvElement kElement, int kDim>
void attention() {
  std::printf("shared attend_rows %d %d 0 %zu\n", static_cast<int>(kElement), kDim,
              AttendShape<kElement, kDim, false>::kShared);
  std::printf("shared attend_rows %d %d 1 %zu\n", static_cast<int>(kElement), kDim,
              AttendShape<kElement, kDim, true>::kShared);
}
template <int kDim>
void attentions() {
  attention<KvElement::kHalf, kDim>();
  attention<KvElement::kInt8, kDim>();
  attention<KvElement::kFp8, kDim>();
  attention<KvElement::kInt4, kDim>();
}

int main() {
  for (std::size_t i = 0; i < kWeightFormats.size(); ++i) {
    const WeightFormat& format = kWeightFormats[i];
    const double unit = format.unit_code_bytes() + format.unit_scale_bytes() +
                        static_cast<double>(format.super_bytes()) / kUnitsPerSuper;
    std::printf("format %zu %.4f\n", i, unit * 8 / (kTileHeight * kUnitColumns));
  }
  std::printf("shared multiply_few 1 %zu\nshared multiply_few 2 %zu\n", FewShape<1>::kShared,
              FewShape<2>::kShared);
  std::printf("shared multiply_many 64 %zu\nshared multiply_many 128 %zu\n", ManyShape<64>::kShared,
              ManyShape<128>::kShared);
  attentions<64>();
  attentions<128>();
  attentions<256>();
}
