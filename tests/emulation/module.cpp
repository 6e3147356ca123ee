// What engine/kernels/cuda/module.cu offers, on this machine's memory: streams do at once what they are
// asked, or record it while a graph is begun.
#include <cstdlib>
#include <vector>

#include "engine/kernels/cuda/operations.h"

namespace stepdown::kernels::cuda {
namespace {

constexpr std::size_t kMemory = std::size_t{1} << 30;
constexpr int kMultiprocessors = 4;  // few, so that small matrices are split and not split

struct EmulatedGraph {
  std::vector<std::function<void()>> work;
};
struct EmulatedStream {
  EmulatedGraph* recording = nullptr;
};

EmulatedStream& stream_of(Stream stream) {
  return *static_cast<EmulatedStream*>(stream);
}

Failure count(int* devices) {
  *devices = 1;
  return nullptr;
}
Failure describe(int /*device*/, DeviceFacts* facts) {
  *facts = {"emulated, for tests", 80, kMultiprocessors, kMemory, kMemory};
  return nullptr;
}
Failure select(int device) {
  return device == 0 ? nullptr : "invalid device ordinal";
}
Failure allocate(std::size_t bytes, void** memory) {
  *memory = nullptr;
  if (bytes > kMemory) return "out of memory";
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (*memory == nullptr) return "out of memory";
  std::memset(*memory, 0, bytes);
  return nullptr;
}
void release(void* memory) {
  std::free(memory);
}
Failure open_stream(Stream* stream) {
  *stream = new EmulatedStream;
  return nullptr;
}
void close_stream(Stream stream) {
  delete static_cast<EmulatedStream*>(stream);
}
Failure copy(Stream stream, void* to, const void* from, std::size_t bytes) {
  return emulation::submit(stream, [=] { std::memcpy(to, from, bytes); });
}
Failure wait(Stream stream) {
  return stream_of(stream).recording == nullptr ? nullptr
                                                : "operation not permitted when stream is capturing";
}
Failure begin_graph(Stream stream) {
  if (stream_of(stream).recording != nullptr) return "the stream is recording already";
  stream_of(stream).recording = new EmulatedGraph;
  return nullptr;
}
Failure end_graph(Stream stream, Graph* graph) {
  *graph = stream_of(stream).recording;
  stream_of(stream).recording = nullptr;
  return *graph != nullptr ? nullptr : "the stream is not recording";
}
Failure run_graph(Stream /*stream*/, Graph graph) {
  for (const auto& work : static_cast<EmulatedGraph*>(graph)->work) work();
  return nullptr;
}
void release_graph(Graph graph) {
  delete static_cast<EmulatedGraph*>(graph);
}

constexpr Module kModule = {
    kModuleVersion,
    "emulated",
    {count, describe, select, allocate, release, allocate, release, open_stream, close_stream, copy, copy,
     wait, begin_graph, end_graph, run_graph, release_graph},
    {rms_norm, multiply, place, attend, gate, summarize, lead},
};

}  // namespace

namespace emulation {

Failure submit(Stream stream, std::function<void()> work) {
  EmulatedGraph* const graph = stream_of(stream).recording;
  if (graph != nullptr) {
    graph->work.push_back(std::move(work));
  } else {
    work();
  }
  return nullptr;
}

}  // namespace emulation

int multiprocessors() {
  return kMultiprocessors;
}

}  // namespace stepdown::kernels::cuda

extern "C" __attribute__((visibility("default"))) const stepdown::kernels::cuda::Module*
stepdown_cuda_module() {
  return &stepdown::kernels::cuda::kModule;
}
