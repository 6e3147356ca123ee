#pragma once

/// Marks a function that is compiled for several instruction sets, the widest that the machine has chosen
/// when the program is loaded. Sanitizers start before that can work.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define STEPDOWN_WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define STEPDOWN_WIDEST
#endif
