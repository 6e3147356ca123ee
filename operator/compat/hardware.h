#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Names for what a model runs on. A class is a generation ("ada") or an instruction set level ("avx512"); a
/// group ("nvidia", "cpu") holds classes.
namespace stepdown::compat {

/// `name` is `group` or lies in it: is_within("ada", "nvidia"), is_within("amx", "x86").
bool is_within(std::string_view name, std::string_view group);
bool is_hardware(std::string_view name);
/// A class, not a group of others.
bool is_leaf(std::string_view name);

/// "ada, ampere" of a pool's classes, whatever their order.
std::string class_list(std::vector<std::string> classes);
/// All classes of one list are in another.
bool lists_all(std::string_view list, std::string_view classes);

/// A product that people name when they ask what fits.
struct Device {
  std::string_view name;      ///< "rtx-4090"
  std::string_view hardware;  ///< its class
  std::int64_t gibibytes;     ///< of memory; 0: the machine's own
  std::string_view resource;  ///< extended resource of its device plugin; empty on CPUs
  std::string_view label;     ///< node label that selects it
  std::string_view value;
};
std::span<const Device> devices();
/// By name, upper or lower case, "-", "_" and blanks alike; nullptr when unknown.
const Device* find_device(std::string_view name);

/// What the rules know of a node.
struct Node {
  std::string name;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> allocatable;

  bool operator==(const Node&) const = default;
};

/// The class that labels tell: NVIDIA's and AMD's feature discovery, node feature discovery's CPU flags and
/// the clouds' accelerator labels; a group where they tell no more; empty when nothing. `accelerator`: the
/// extended resource that is asked for; empty: the node's CPU.
std::string hardware_of(const std::map<std::string, std::string>& labels, std::string_view accelerator);

/// What labels call the GPU, in the words of whoever set them; empty when none does.
std::string product_of(const std::map<std::string, std::string>& labels);

/// Bytes of one accelerator, by its slice, by NVIDIA's own label or by its product; 0 where nothing tells, or
/// where pods share it.
std::int64_t memory_of(const std::map<std::string, std::string>& labels, std::string_view accelerator);

/// The group an extended resource belongs to: "nvidia" for nvidia.com/gpu and its MIG slices; "cpu" for none;
/// empty when unknown.
std::string group_of_resource(std::string_view accelerator);

}  // namespace stepdown::compat
