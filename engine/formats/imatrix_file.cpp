#include "engine/formats/imatrix_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <system_error>

#include <unistd.h>

#include "engine/base/error.h"
#include "engine/base/mapped_file.h"
#include "engine/base/output_place.h"
#include "engine/formats/byte_reader.h"
#include "engine/formats/gguf_header.h"
#include "engine/formats/gguf_writer.h"
#include "engine/formats/importance_range.h"

namespace stepdown::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";
constexpr const char* kMakeAnew = "compute it anew: stepdown-engine quantize --calibration, or llama-imatrix";

std::vector<float> floats_of(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

void check(const Imatrix& imatrix, const std::string& file) {
  if (imatrix.columns.empty()) throw InputError("holds no entries", file, kMakeAnew);
  for (const auto& [name, columns] : imatrix.columns) {
    if (!std::ranges::all_of(columns, is_importance)) {
      throw InputError("'" + name + "' holds values that are negative, not finite or beyond 1e15", file,
                       kMakeAnew);
    }
  }
}

Imatrix from_gguf(std::span<const std::byte> bytes, const std::string& file) {
  const GgufHeader header = parse_gguf(bytes, file);
  const auto values = [&](std::string_view name) -> std::vector<float> {
    const auto found = std::ranges::find(header.tensors, name, &TensorView::name);
    if (found == header.tensors.end() || found->type != DType::kF32) {
      throw InputError("F32 tensor '" + std::string(name) + "' is missing", file, kMakeAnew);
    }
    return floats_of(found->data);
  };
  Imatrix imatrix;
  for (const TensorView& tensor : header.tensors) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string name = tensor.name.substr(0, tensor.name.size() - kSums.size());
    std::vector<float> columns = values(tensor.name);
    const std::vector<float> counts = values(name + std::string(kCounts));
    if (counts.empty() || columns.size() % counts.size() != 0) {
      throw InputError("'" + name + "' has " + std::to_string(columns.size()) + " values for " +
                           std::to_string(counts.size()) + " counts",
                       file, kMakeAnew);
    }
    const std::size_t width = columns.size() / counts.size();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const float count = counts[i / width];
      columns[i] = count > 0 ? columns[i] / count : 1.0f;
    }
    if (counts.size() > 1) imatrix.expert_tokens[name] = counts;
    imatrix.columns[name] = std::move(columns);
  }
  if (const auto found = header.metadata.find("imatrix.chunk_count"); found != header.metadata.end()) {
    imatrix.chunks = static_cast<std::uint32_t>(found->second.integer().value_or(0));
  }
  if (const auto found = header.metadata.find("imatrix.datasets"); found != header.metadata.end()) {
    const auto names = found->second.texts();
    if (names && !names->empty()) imatrix.dataset = names->front();
  }
  return imatrix;
}

/// i32 entries; each i32 length, name, i32 calls, i32 values, their means times calls; then i32 chunks, name.
Imatrix from_dat(std::span<const std::byte> bytes, const std::string& file) {
  ByteReader reader(bytes, file);
  const auto length = [&](const char* what) {
    const auto value = reader.read<std::int32_t>(what);
    if (value < 0) reader.fail(std::string(what) + " is negative: no importance matrix", kMakeAnew);
    return static_cast<std::uint64_t>(value);
  };
  const auto text = [&](const char* what) {
    const auto taken = reader.take(length(what), what);
    return std::string(reinterpret_cast<const char*>(taken.data()), taken.size());
  };
  Imatrix imatrix;
  const std::uint64_t entries = length("number of entries");
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::string name = text("name");
    const auto calls = static_cast<float>(length("number of calls"));
    const std::uint64_t count = length("number of values");
    std::vector<float> columns = floats_of(reader.take_items(count, sizeof(float), "values"));
    if (calls > 0) {
      for (float& x : columns) x /= calls;
    }
    imatrix.columns[name] = std::move(columns);
  }
  if (reader.remaining() > 0) {
    imatrix.chunks = static_cast<std::uint32_t>(length("number of chunks"));
    imatrix.dataset = text("data set's name");
  }
  return imatrix;
}

std::vector<float> counts_of(const Imatrix& imatrix, const std::string& name, float tokens) {
  const auto split = imatrix.expert_tokens.find(name);
  return split == imatrix.expert_tokens.end() ? std::vector<float>{tokens} : split->second;
}

}  // namespace

Imatrix parse_imatrix(std::span<const std::byte> bytes, const std::string& file) {
  std::uint32_t magic = 0;
  if (bytes.size() >= sizeof(magic)) std::memcpy(&magic, bytes.data(), sizeof(magic));
  Imatrix imatrix = magic == kGgufMagic ? from_gguf(bytes, file) : from_dat(bytes, file);
  check(imatrix, file);
  return imatrix;
}

Imatrix read_imatrix(const fs::path& path) {
  const MappedFile file(path);
  return parse_imatrix(file.bytes(), path.string());
}

void write_imatrix(const fs::path& path, const Imatrix& imatrix, std::uint32_t tokens,
                   std::uint32_t chunk_tokens) {
  GgufMetadata metadata;
  const std::array<std::string, 1> datasets = {imatrix.dataset};
  metadata["general.type"] = GgufValue::of_text("imatrix");
  metadata["imatrix.datasets"] = GgufValue::of_texts(datasets);
  metadata["imatrix.chunk_count"] = GgufValue::of(imatrix.chunks);
  metadata["imatrix.chunk_size"] = GgufValue::of(chunk_tokens);
  std::vector<GgufTensor> tensors;
  for (const auto& [name, columns] : imatrix.columns) {
    const auto experts = static_cast<std::int64_t>(counts_of(imatrix, name, 0).size());
    tensors.push_back({name + std::string(kCounts), DType::kF32, {experts, 1}});
    tensors.push_back({name + std::string(kSums),
                       DType::kF32,
                       {experts, static_cast<std::int64_t>(columns.size()) / experts}});
  }
  if (keeps_its_place(path))
    throw InputError("is no file, and would be replaced by one", path.string(), "name a file");
  fs::path unfinished = path;  // nobody sees half of it, and a failed run leaves none
  unfinished += ".tmp-" + std::to_string(::getpid());
  try {
    GgufWriter writer(unfinished, metadata, std::move(tensors));
    for (const auto& [name, columns] : imatrix.columns) {
      const std::vector<float> counts = counts_of(imatrix, name, static_cast<float>(tokens));
      writer.write(std::as_bytes(std::span(counts)));
      std::vector<float> sums = columns;
      for (std::size_t i = 0; i < sums.size(); ++i) sums[i] *= counts[i / (sums.size() / counts.size())];
      writer.write(std::as_bytes(std::span(sums)));
    }
    writer.finish();
    fs::rename(unfinished, path);
  } catch (...) {
    std::error_code ignored;  // what went wrong is told
    fs::remove(unfinished, ignored);
    throw;
  }
}

}  // namespace stepdown::formats
