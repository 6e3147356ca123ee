#include "engine/formats/gguf_header.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <set>
#include <utility>

#include "engine/base/error.h"
#include "engine/formats/byte_reader.h"

namespace stepdown::formats {
namespace {

constexpr const char* kCopyAgain = "copy or download the file again";

struct TensorInfo {
  TensorView view;
  std::uint64_t offset = 0;
  std::size_t bytes = 0;
};

void skip_payload(ByteReader& reader, const GgufValue& value, const std::string& what) {
  if (value.type == GgufType::kString) {
    for (std::uint64_t i = 0; i < value.count; ++i) reader.read_string(what);
    return;
  }
  const std::size_t size = gguf_type_bytes(value.type);
  if (size == 0) {
    reader.fail(what + " has unknown value type " + std::to_string(static_cast<std::uint32_t>(value.type)),
                kCopyAgain);
  }
  reader.take_items(value.count, size, what);
}

GgufValue read_value(ByteReader& reader, const std::string& what) {
  GgufValue value;
  value.type = static_cast<GgufType>(reader.read<std::uint32_t>(what));
  if (value.type == GgufType::kArray) {
    value.array = true;
    value.type = static_cast<GgufType>(reader.read<std::uint32_t>(what));
    value.count = reader.read<std::uint64_t>(what);
    if (value.type == GgufType::kArray) {
      reader.fail(what + " is an array of arrays", "no model needs one; " + std::string(kCopyAgain));
    }
  }
  const std::size_t start = reader.position();
  skip_payload(reader, value, what);
  const auto payload = reader.since(start);
  value.bytes.assign(reinterpret_cast<const char*>(payload.data()), payload.size());
  return value;
}

GgufMetadata read_metadata(ByteReader& reader, std::uint64_t count) {
  GgufMetadata metadata;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string key(reader.read_string("key " + std::to_string(i)));
    GgufValue value = read_value(reader, "key '" + key + "'");
    if (!metadata.emplace(key, std::move(value)).second) {
      reader.fail("key '" + key + "' occurs twice", kCopyAgain);
    }
  }
  return metadata;
}

TensorInfo read_tensor_info(ByteReader& reader, std::uint64_t index) {
  TensorInfo info;
  info.view.name = std::string(reader.read_string("name of tensor " + std::to_string(index)));
  const std::string what = "tensor '" + info.view.name + "'";
  const auto dimensions = reader.read<std::uint32_t>(what);
  if (dimensions == 0 || dimensions > kGgufMaxDimensions) {
    reader.fail(what + " has " + std::to_string(dimensions) + " dimensions, not 1 to 4", kCopyAgain);
  }
  info.view.shape.resize(dimensions);
  std::uint64_t rows = 1;
  for (std::uint32_t i = 0; i < dimensions; ++i) {  // stored fastest first
    const auto length = reader.read<std::uint64_t>(what);
    if (length == 0 || length > std::numeric_limits<std::uint32_t>::max()) {
      reader.fail(what + " has a dimension of " + std::to_string(length), kCopyAgain);
    }
    info.view.shape[dimensions - 1 - i] = static_cast<std::int64_t>(length);
    if (i == 0) continue;
    if (rows > std::numeric_limits<std::uint64_t>::max() / length)
      reader.fail(what + " is too large", kCopyAgain);
    rows *= length;
  }
  const auto type_number = reader.read<std::uint32_t>(what);
  const auto type = dtype_from_ggml(type_number);
  if (!type) {
    reader.fail(what + " has ggml type " + std::to_string(type_number) + ", which is not supported",
                "requantize to one of F32, F16, BF16, Q4_0 … Q8_0, Q2_K … Q6_K, IQ4_NL, IQ4_XS");
  }
  info.view.type = *type;
  const auto columns = static_cast<std::size_t>(info.view.columns());
  const auto row = row_bytes(*type, columns);
  if (!row) {
    reader.fail(what + " has rows of " + std::to_string(columns) + " elements, not whole blocks of " +
                    std::string(dtype_info(*type).name),
                kCopyAgain);
  }
  if (rows > std::numeric_limits<std::size_t>::max() / *row) reader.fail(what + " is too large", kCopyAgain);
  info.bytes = *row * static_cast<std::size_t>(rows);
  info.offset = reader.read<std::uint64_t>(what);
  return info;
}

std::uint32_t read_alignment(const ByteReader& reader, const GgufMetadata& metadata) {
  const auto found = metadata.find("general.alignment");
  if (found == metadata.end()) return kGgufDefaultAlignment;
  const auto alignment = found->second.integer().value_or(0);
  if (alignment <= 0 || alignment > (1 << 20) ||
      !std::has_single_bit(static_cast<std::uint64_t>(alignment))) {
    reader.fail("general.alignment is no power of two", kCopyAgain);
  }
  return static_cast<std::uint32_t>(alignment);
}

void check_preamble(ByteReader& reader) {
  if (reader.read<std::uint32_t>("magic") != kGgufMagic) {
    reader.fail("not a GGUF file: it does not begin with \"GGUF\"", "give a .gguf file");
  }
  const auto version = reader.read<std::uint32_t>("version");
  if (version == 2 || version == kGgufVersion) return;
  if (version == 1)
    reader.fail("GGUF version 1 is not supported", "convert the model anew to GGUF version 3");
  reader.fail("GGUF version " + std::to_string(version) + " is not supported",
              "give a little-endian GGUF of version 2 or 3");
}

// Some write gaps, so only bytes of two tensors are a lie.
void check_overlaps(const std::vector<TensorView>& tensors, const std::string& file) {
  std::vector<const TensorView*> order;
  order.reserve(tensors.size());
  for (const TensorView& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, [](const TensorView* tensor) { return tensor->data.data(); });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const TensorView& before = *order[i - 1];
    if (before.data.data() + before.data.size() <= order[i]->data.data()) continue;
    throw InputError("overlaps tensor '" + before.name + "'", file + ": tensor '" + order[i]->name + "'",
                     kCopyAgain);
  }
}

}  // namespace

GgufHeader parse_gguf(std::span<const std::byte> bytes, const std::string& file) {
  ByteReader reader(bytes, file);
  check_preamble(reader);
  const auto tensor_count = reader.read<std::uint64_t>("tensor count");
  const auto key_count = reader.read<std::uint64_t>("key count");
  GgufHeader header;
  header.metadata = read_metadata(reader, key_count);
  header.alignment = read_alignment(reader, header.metadata);

  std::vector<TensorInfo> infos;
  std::set<std::string, std::less<>> names;
  for (std::uint64_t i = 0; i < tensor_count; ++i) {
    infos.push_back(read_tensor_info(reader, i));
    if (!names.insert(infos.back().view.name).second) {
      reader.fail("tensor '" + infos.back().view.name + "' occurs twice", kCopyAgain);
    }
  }

  const std::uint64_t data_start = align_up(reader.position(), header.alignment);
  const std::uint64_t data_bytes = bytes.size() > data_start ? bytes.size() - data_start : 0;
  header.tensors.reserve(infos.size());
  for (TensorInfo& info : infos) {
    const std::string where = file + ": tensor '" + info.view.name + "'";
    if (info.offset % header.alignment != 0) {
      throw InputError("its offset " + std::to_string(info.offset) + " is not a multiple of the alignment " +
                           std::to_string(header.alignment),
                       where, kCopyAgain);
    }
    if (info.offset > data_bytes || info.bytes > data_bytes - info.offset) {
      throw InputError("its " + std::to_string(info.bytes) + " bytes at offset " +
                           std::to_string(info.offset) + " pass the end of the file, which holds " +
                           std::to_string(data_bytes) + " bytes of tensor data",
                       where, "the file is truncated or its header lies; copy or download it again");
    }
    info.view.data = bytes.subspan(static_cast<std::size_t>(data_start + info.offset), info.bytes);
    header.tensors.push_back(std::move(info.view));
  }
  check_overlaps(header.tensors, file);
  return header;
}

}  // namespace stepdown::formats
