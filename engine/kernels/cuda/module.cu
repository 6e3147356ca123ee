#include "engine/kernels/cuda/operations.h"

#ifndef STEPDOWN_CUDA_ARCHITECTURES
#define STEPDOWN_CUDA_ARCHITECTURES "unknown"
#endif

namespace stepdown::kernels::cuda {
namespace {

Failure count(int* devices) {
  return failure_of(cudaGetDeviceCount(devices));
}

Failure describe(int device, DeviceFacts* facts) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device)) return failure_of(error);
  if (const cudaError_t error = cudaSetDevice(device)) return failure_of(error);
  if (const cudaError_t error = cudaMemGetInfo(&facts->free_bytes, &facts->memory_bytes))
    return failure_of(error);
  static_assert(sizeof(properties.name) >= sizeof(facts->name));
  for (std::size_t i = 0; i < sizeof(facts->name); ++i) facts->name[i] = properties.name[i];
  facts->name[sizeof(facts->name) - 1] = '\0';
  facts->compute_capability = properties.major * 10 + properties.minor;
  facts->multiprocessors = properties.multiProcessorCount;
  return nullptr;
}

Failure select(int device) {
  return failure_of(cudaSetDevice(device));
}

Failure allocate(std::size_t bytes, void** memory) {
  if (const cudaError_t error = cudaMalloc(memory, bytes)) {
    cudaGetLastError();  // an allocation that failed is no fault of what comes after
    return failure_of(error);
  }
  return failure_of(cudaMemset(*memory, 0, bytes));
}
void release(void* memory) {
  cudaFree(memory);
}
Failure allocate_host(std::size_t bytes, void** memory) {
  return failure_of(cudaMallocHost(memory, bytes));
}
void release_host(void* memory) {
  cudaFreeHost(memory);
}

cudaStream_t as_cuda(Stream stream) {
  return static_cast<cudaStream_t>(stream);
}
Failure open_stream(Stream* stream) {
  cudaStream_t opened = nullptr;
  const cudaError_t error = cudaStreamCreateWithFlags(&opened, cudaStreamNonBlocking);
  *stream = opened;
  return failure_of(error);
}
void close_stream(Stream stream) {
  cudaStreamDestroy(as_cuda(stream));
}
Failure to_device(Stream stream, void* to, const void* from, std::size_t bytes) {
  return failure_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, as_cuda(stream)));
}
Failure to_host(Stream stream, void* to, const void* from, std::size_t bytes) {
  return failure_of(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, as_cuda(stream)));
}
Failure wait(Stream stream) {
  return failure_of(cudaStreamSynchronize(as_cuda(stream)));
}

Failure begin_graph(Stream stream) {
  return failure_of(cudaStreamBeginCapture(as_cuda(stream), cudaStreamCaptureModeThreadLocal));
}
Failure end_graph(Stream stream, Graph* graph) {
  cudaGraph_t captured = nullptr;
  if (const cudaError_t error = cudaStreamEndCapture(as_cuda(stream), &captured)) return failure_of(error);
  cudaGraphExec_t executable = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&executable, captured, 0);
  cudaGraphDestroy(captured);
  *graph = executable;
  return failure_of(error);
}
Failure run_graph(Stream stream, Graph graph) {
  return failure_of(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), as_cuda(stream)));
}
void release_graph(Graph graph) {
  cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
}

constexpr Module kModule = {
    kModuleVersion,
    STEPDOWN_CUDA_ARCHITECTURES,
    {count, describe, select, allocate, release, allocate_host, release_host, open_stream, close_stream,
     to_device, to_host, wait, begin_graph, end_graph, run_graph, release_graph},
    {rms_norm, multiply, place, attend, gate, summarize, lead},
};

}  // namespace

int multiprocessors() {
  int device = 0;
  int found = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&found, cudaDevAttrMultiProcessorCount, device);
  return found;
}

}  // namespace stepdown::kernels::cuda

// All else is hidden: two libraries of one process cannot take each other's functions.
extern "C" __attribute__((visibility("default"))) const stepdown::kernels::cuda::Module*
stepdown_cuda_module() {
  return &stepdown::kernels::cuda::kModule;
}
