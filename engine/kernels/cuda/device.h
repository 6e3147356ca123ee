#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/kernels/cuda/module.h"

namespace stepdown::kernels::cuda {

/// libstepdown-cuda.so, kept open while anything holds it.
using Library = std::shared_ptr<const Module>;

/// Where the library is: $STEPDOWN_CUDA_LIBRARY, or beside this program or in ../lib of its folder.
std::filesystem::path library_path();
/// Throws Error when there is none, or it is another build's.
Library open_library(const std::filesystem::path& path);

/// One GPU with a stream on which all work is done in order. Throws Error where the driver refuses.
/// One thread at a time; any thread, as each call selects the device.
class Device {
 public:
  Device(Library library, int ordinal);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  int ordinal() const { return ordinal_; }
  const DeviceFacts& facts() const { return facts_; }
  const DeviceOperations& operations() const { return library_->operations; }
  const Runtime& runtime() const { return library_->runtime; }
  Stream stream() const { return stream_; }
  void select() const;

 private:
  Library library_;
  int ordinal_;
  DeviceFacts facts_{};
  Stream stream_ = nullptr;
};

/// Memory of the device, zeroed; or of the host, page-locked.
class Buffer {
 public:
  enum class Where { kDevice, kHost };
  Buffer() = default;
  Buffer(const Device& device, std::size_t bytes, Where where = Where::kDevice);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::size_t size() const { return size_; }
  template <class T = std::byte>
  T* as() const {
    return static_cast<T*>(memory_);
  }

 private:
  void (*release_)(void*) = nullptr;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

/// Values that lie on the device from now on. Waits.
template <class T>
Buffer upload(const Device& device, std::span<const T> values);

/// Copies bytes there and back; waits.
void copy_to_device(const Device& device, void* to, std::span<const std::byte> from);
void copy_to_host(const Device& device, std::span<std::byte> to, const void* from);

template <class T>
Buffer upload(const Device& device, std::span<const T> values) {
  Buffer buffer(device, values.size_bytes());
  copy_to_device(device, buffer.as(), std::as_bytes(values));
  return buffer;
}

}  // namespace stepdown::kernels::cuda
