#include "engine/kernels/cuda/device.h"

#include <cstdlib>
#include <utility>

#include <dlfcn.h>

#include "engine/base/error.h"

namespace stepdown::kernels::cuda {
namespace {

constexpr const char* kLibraryName = "libstepdown-cuda.so";

void check(Failure failure, const char* doing) {
  if (failure != nullptr)
    throw Error(std::string("the CUDA driver says: ") + failure, doing,
                "see nvidia-smi and the kernel's log");
}

}  // namespace

std::filesystem::path library_path() {
  if (const char* named = std::getenv("STEPDOWN_CUDA_LIBRARY"); named != nullptr && *named != '\0')
    return named;
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  const std::filesystem::path beside = folder / kLibraryName;
  return std::filesystem::exists(beside, error) ? beside : folder.parent_path() / "lib" / kLibraryName;
}

Library open_library(const std::filesystem::path& path) {
  if (std::error_code error; !std::filesystem::exists(path, error))
    throw Error("there is no " + path.string(), "CUDA",
                "build the target stepdown-cuda, or set STEPDOWN_CUDA_LIBRARY");
  const std::shared_ptr<void> handle(::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL), [](void* opened) {
    if (opened != nullptr) ::dlclose(opened);
  });
  if (handle == nullptr) throw Error(::dlerror(), "CUDA", "build the target stepdown-cuda again");
  const auto entry = reinterpret_cast<ModuleEntry>(::dlsym(handle.get(), kModuleSymbol));
  const Module* module = entry == nullptr ? nullptr : entry();
  if (module == nullptr || module->version != kModuleVersion)
    throw Error("is of another version of Stepdown", path.string(),
                "install program and library of one build");
  return {handle, module};
}

Device::Device(Library library, int ordinal) : library_(std::move(library)), ordinal_(ordinal) {
  check(runtime().describe(ordinal, &facts_), "opening a device");
  select();
  check(runtime().open_stream(&stream_), "opening a device");
}

Device::~Device() {
  if (runtime().select(ordinal_) == nullptr) runtime().close_stream(stream_);
}

void Device::select() const {
  check(runtime().select(ordinal_), "selecting a device");
}

Buffer::Buffer(const Device& device, std::size_t bytes, Where where) : size_(bytes) {
  if (bytes == 0) return;
  device.select();
  const Runtime& runtime = device.runtime();
  const bool on_device = where == Where::kDevice;
  const Failure failure =
      on_device ? runtime.allocate(bytes, &memory_) : runtime.allocate_host(bytes, &memory_);
  if (failure != nullptr) {
    throw Error("cannot allocate " + std::to_string(bytes >> 20) + " MiB: " + failure,
                on_device ? "memory of " + std::string(device.facts().name) : "page-locked memory",
                "lower the context or the number of sequences, or free the device");
  }
  release_ = on_device ? runtime.release : runtime.release_host;
}

Buffer::~Buffer() {
  if (memory_ != nullptr) release_(memory_);
}

Buffer::Buffer(Buffer&& other) noexcept
    : release_(other.release_),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(release_, other.release_);
  std::swap(memory_, other.memory_);
  std::swap(size_, other.size_);
  return *this;
}

void copy_to_device(const Device& device, void* to, std::span<const std::byte> from) {
  device.select();
  check(device.runtime().to_device(device.stream(), to, from.data(), from.size()), "copying to the device");
  check(device.runtime().wait(device.stream()), "copying to the device");
}

void copy_to_host(const Device& device, std::span<std::byte> to, const void* from) {
  device.select();
  check(device.runtime().to_host(device.stream(), to.data(), from, to.size()), "copying from the device");
  check(device.runtime().wait(device.stream()), "copying from the device");
}

}  // namespace stepdown::kernels::cuda
