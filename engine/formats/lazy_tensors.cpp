#include "engine/formats/lazy_tensors.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/error.h"

namespace stepdown::formats {
namespace {

/// Addresses without memory: they count against no limit until they are written.
std::span<std::byte> reserve(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    throw Error("no address space for a tensor of " + std::to_string(bytes) + " bytes");
  return {static_cast<std::byte*>(memory), bytes};
}

void allow(std::span<std::byte> bytes) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t before = reinterpret_cast<std::uintptr_t>(bytes.data()) % page;  // in its first page
  const std::size_t whole = (before + bytes.size() + page - 1) / page * page;
  if (::mprotect(bytes.data() - before, whole, PROT_READ | PROT_WRITE) != 0)
    throw Error("no memory for a tensor of " + std::to_string(bytes.size()) + " bytes");
}

}  // namespace

LazyTensors::~LazyTensors() {
  for (const auto& [begin, entry] : entries_) ::munmap(entry.memory.data(), entry.memory.size());
}

std::span<const std::byte> LazyTensors::add(std::size_t part_bytes, std::vector<Fill> parts) {
  const std::size_t bytes = part_bytes * parts.size();
  if (bytes == 0) return {};
  const std::span<std::byte> memory = reserve(bytes);
  entries_.emplace(memory.data(), Entry{memory, part_bytes, std::move(parts)});
  return memory;
}

const LazyTensors::Entry* LazyTensors::find(std::span<const std::byte> bytes) const {
  const auto behind = entries_.upper_bound(bytes.data());
  if (behind == entries_.begin()) return nullptr;
  const Entry& entry = std::prev(behind)->second;
  return bytes.data() < entry.memory.data() + entry.memory.size() ? &entry : nullptr;
}

void LazyTensors::prepare(std::span<const std::byte> bytes) const {
  const Entry* entry = find(bytes);
  if (entry == nullptr || bytes.empty()) return;
  const auto from = static_cast<std::size_t>(bytes.data() - entry->memory.data());
  const std::size_t first = from / entry->part_bytes;
  const std::size_t last = (from + bytes.size() - 1) / entry->part_bytes;
  for (std::size_t part = first; part <= last; ++part) {
    const std::span<std::byte> room = entry->memory.subspan(part * entry->part_bytes, entry->part_bytes);
    allow(room);
    entry->parts[part](room);
  }
}

}  // namespace stepdown::formats
