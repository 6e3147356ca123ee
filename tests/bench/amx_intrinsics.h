// Included before llama.cpp's C++ sources: GCC 12 does not know that AMX's load intrinsics read memory (a
// tile configuration for more than its first eight bytes), drops the stores before them, and the peer dies of
// an illegal instruction. The same instructions, told in full.
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#include <immintrin.h>
#undef _tile_loadconfig
#undef _tile_loadd
static inline void tile_loadconfig_that_reads(const void* config) {
  __asm__ volatile("ldtilecfg\t%0" : : "m"(*(const char(*)[64])config) : "memory");
}
#define TILE_LOADD_THAT_READS(tile, base, stride)                  \
  __asm__ volatile("tileloadd\t(%0,%1,1), %%tmm" #tile             \
                   :                                               \
                   : "r"((const void*)(base)), "r"((long)(stride)) \
                   : "memory")
#define _tile_loadconfig tile_loadconfig_that_reads
#define _tile_loadd(tile, base, stride) TILE_LOADD_THAT_READS(tile, base, stride)
#endif
