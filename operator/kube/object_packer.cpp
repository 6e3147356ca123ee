#include "operator/kube/object_packer.h"

#include <array>
#include <mutex>

#include <nlohmann/json.hpp>
#include <zlib.h>

#include "engine/base/error.h"

namespace stepdown::kube {
namespace {

constexpr int kWindowBits = -14;  // raw deflate over 16 KiB: an object and the dictionary
constexpr int kMemoryLevel = 6;
constexpr int kEffort = 6;
constexpr std::size_t kDictionary = 12 << 10;

const Bytef* bytes(std::string_view text) {
  return reinterpret_cast<const Bytef*>(text.data());
}

}  // namespace

struct ObjectPacker::State {
  State() {
    if (deflateInit2(&deflater, kEffort, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw Error("zlib cannot start");
    }
  }
  ~State() { deflateEnd(&deflater); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  std::string get_dictionary() const {
    const std::lock_guard lock(mutex);
    return dictionary;
  }

  z_stream deflater{};
  mutable std::mutex mutex;
  std::string dictionary;  // written once, by the first pack()
};

ObjectPacker::ObjectPacker() : state_(std::make_unique<State>()) {}
ObjectPacker::~ObjectPacker() = default;

std::string ObjectPacker::pack(const nlohmann::json& object) {
  const std::string text = object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  z_stream& out = state_->deflater;
  deflateReset(&out);
  if (state_->dictionary.empty()) {
    const std::lock_guard lock(state_->mutex);
    state_->dictionary = text.substr(0, kDictionary);
  }
  deflateSetDictionary(&out, bytes(state_->dictionary), static_cast<uInt>(state_->dictionary.size()));
  std::string packed(deflateBound(&out, text.size()), '\0');
  out.next_in = const_cast<Bytef*>(bytes(text));
  out.avail_in = static_cast<uInt>(text.size());
  out.next_out = reinterpret_cast<Bytef*>(packed.data());
  out.avail_out = static_cast<uInt>(packed.size());
  if (deflate(&out, Z_FINISH) != Z_STREAM_END) throw Error("zlib cannot pack an object");
  // A copy, for a string that was once large keeps its room.
  return {packed.data(), packed.size() - out.avail_out};
}

nlohmann::json ObjectPacker::unpack(std::string_view packed) const {
  const std::string dictionary = state_->get_dictionary();
  z_stream in{};
  if (inflateInit2(&in, kWindowBits) != Z_OK) throw Error("zlib cannot start");
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> guard(&in, inflateEnd);
  inflateSetDictionary(&in, bytes(dictionary), static_cast<uInt>(dictionary.size()));
  in.next_in = const_cast<Bytef*>(bytes(packed));
  in.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  std::array<char, 8 << 10> piece;
  for (int status = Z_OK; status != Z_STREAM_END;) {
    in.next_out = reinterpret_cast<Bytef*>(piece.data());
    in.avail_out = piece.size();
    status = inflate(&in, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END) throw Error("zlib cannot unpack an object");
    text.append(piece.data(), piece.size() - in.avail_out);
  }
  return nlohmann::json::parse(text);
}

}  // namespace stepdown::kube
