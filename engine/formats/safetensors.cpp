#include "engine/formats/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "engine/base/error.h"
#include "engine/formats/byte_reader.h"
#include "engine/formats/json_view.h"

namespace stepdown::formats {
namespace {

constexpr std::uint64_t kMaxHeader = 100'000'000;  // as the reference implementation
constexpr const char* kCopyAgain = "the file is truncated or its header lies; copy or download it again";

DType read_type(const JsonView& entry) {
  const JsonView field = entry.required("dtype");
  const auto type = dtype_from_name(field.text());
  if (!type || dtype_info(*type).quantized) {
    field.fail("dtype " + field.text() + " is not supported", "supported are F32, F16 and BF16");
  }
  return *type;
}

std::uint64_t read_offset(const JsonView& item) {
  if (!item.json().is_number_unsigned()) item.fail("is no byte offset", kCopyAgain);
  return item.json().get<std::uint64_t>();
}

TensorView read_tensor(const JsonView& entry, const std::string& name, std::span<const std::byte> data) {
  TensorView view;
  view.name = name;
  view.type = read_type(entry);
  std::uint64_t size = dtype_info(view.type).block_bytes;
  for (const JsonView& item : entry.required("shape").items()) {
    const std::int64_t length = item.positive();
    if (size > std::numeric_limits<std::uint64_t>::max() / static_cast<std::uint64_t>(length)) {
      item.fail("makes the tensor too large", kCopyAgain);
    }
    size *= static_cast<std::uint64_t>(length);
    view.shape.push_back(length);
  }
  const JsonView offsets = entry.required("data_offsets");
  const auto range = offsets.items();
  if (range.size() != 2) offsets.fail("is no pair", kCopyAgain);
  const std::uint64_t begin = read_offset(range[0]);
  const std::uint64_t end = read_offset(range[1]);
  if (begin > end || end > data.size()) {
    offsets.fail(
        "ends at byte " + std::to_string(end) + " of " + std::to_string(data.size()) + " bytes of data",
        kCopyAgain);
  }
  if (end - begin != size) {
    offsets.fail(
        "spans " + std::to_string(end - begin) + " bytes where the shape needs " + std::to_string(size),
        kCopyAgain);
  }
  view.data = data.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size));
  return view;
}

void check_coverage(const std::vector<TensorView>& tensors, std::span<const std::byte> data,
                    const std::string& file) {
  std::vector<const TensorView*> order;
  order.reserve(tensors.size());
  for (const TensorView& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, [](const TensorView* tensor) { return tensor->data.data(); });
  const std::byte* covered = data.data();
  for (const TensorView* tensor : order) {
    if (tensor->data.data() != covered) {
      throw InputError("tensor '" + tensor->name + "' overlaps its neighbour or leaves a gap", file,
                       kCopyAgain);
    }
    covered += tensor->data.size();
  }
  if (covered != data.data() + data.size())
    throw InputError("data that no tensor names at the end", file, kCopyAgain);
}

}  // namespace

std::vector<TensorView> parse_safetensors(std::span<const std::byte> bytes, const std::string& file) {
  ByteReader reader(bytes, file);
  const auto header_bytes = reader.read<std::uint64_t>("header length");
  if (header_bytes > kMaxHeader)
    reader.fail("a header of " + std::to_string(header_bytes) + " bytes", kCopyAgain);
  const auto text = reader.take(header_bytes, "header");
  const auto data = reader.take(reader.remaining(), "data");
  const JsonView header =
      JsonView::parse({reinterpret_cast<const char*>(text.data()), text.size()}, file + ": header.json");
  if (!header.json().is_object()) header.fail("is no object", kCopyAgain);
  std::vector<TensorView> tensors;
  for (const auto& [name, unused] : header.json().items()) {
    if (name == "__metadata__") continue;
    tensors.push_back(read_tensor(header.required(name), name, data));
  }
  check_coverage(tensors, data, file);
  return tensors;
}

}  // namespace stepdown::formats
