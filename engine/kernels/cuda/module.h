#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/cuda/arguments.h"

namespace stepdown::kernels::cuda {

// What libstepdown-cuda.so offers to the engine, which is compiled without CUDA and opens it with dlopen: a
// machine without a driver runs the same program. tests/emulation offers the same from the same kernels,
// compiled as C++.

/// Rises with every change of these structs: a library of another build is refused, not misread.
inline constexpr std::uint32_t kModuleVersion = 3;
/// Name and type of the one symbol that the library exports.
inline constexpr const char* kModuleSymbol = "stepdown_cuda_module";
struct Module;
using ModuleEntry = const Module* (*)();

/// Null when all is well; otherwise what the driver said, in static storage.
using Failure = const char*;
using Stream = void*;
using Graph = void*;

struct DeviceFacts {
  char name[128];
  std::int32_t compute_capability;  ///< 10 · major + minor: 89 is Ada
  std::int32_t multiprocessors;
  std::size_t memory_bytes;
  std::size_t free_bytes;
};

/// Memory, order and graphs. All calls concern the calling thread's selected device.
struct Runtime {
  Failure (*count)(int* devices);
  Failure (*describe)(int device, DeviceFacts* facts);
  Failure (*select)(int device);
  Failure (*allocate)(std::size_t bytes, void** memory);  ///< zeroed, 256-byte aligned
  void (*release)(void* memory);
  Failure (*allocate_host)(std::size_t bytes, void** memory);  ///< page-locked: copies run beside kernels
  void (*release_host)(void* memory);
  Failure (*open_stream)(Stream* stream);
  void (*close_stream)(Stream stream);
  Failure (*to_device)(Stream stream, void* to, const void* from, std::size_t bytes);
  Failure (*to_host)(Stream stream, void* to, const void* from, std::size_t bytes);
  Failure (*wait)(Stream stream);
  /// What is launched on the stream from here on is recorded, not run.
  Failure (*begin_graph)(Stream stream);
  Failure (*end_graph)(Stream stream, Graph* graph);
  Failure (*run_graph)(Stream stream, Graph graph);
  void (*release_graph)(Graph graph);
};

/// The kernels: one row each, one file each. Launches only; a failed launch is told at once, a failing kernel
/// by the next wait().
struct DeviceOperations {
  Failure (*rms_norm)(Stream stream, const RmsNorm& arguments);
  Failure (*multiply)(Stream stream, const MatrixProduct& arguments);
  Failure (*place)(Stream stream, const Placement& arguments);
  Failure (*attend)(Stream stream, const PagedAttention& arguments);
  Failure (*gate)(Stream stream, const Gating& arguments);
  Failure (*summarize)(Stream stream, const Summary& arguments);
  Failure (*lead)(Stream stream, const LeadingRows& arguments);
};

struct Module {
  std::uint32_t version;
  const char* architectures;  ///< what it was compiled for: "80 86 89 90a 100 120"
  Runtime runtime;
  DeviceOperations operations;
};

}  // namespace stepdown::kernels::cuda
