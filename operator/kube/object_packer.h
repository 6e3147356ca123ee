#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace stepdown::kube {

/// Objects as small as they get: JSON text, deflated (RFC 1951) with the first object as the dictionary, for
/// objects of one resource are alike. Some tenth of the text, a hundredth of a json value.
class ObjectPacker {
 public:
  ObjectPacker();
  ~ObjectPacker();

  /// From one thread at a time.
  std::string pack(const nlohmann::json& object);
  /// Of what this packer packed. Safe from any thread.
  nlohmann::json unpack(std::string_view packed) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stepdown::kube
