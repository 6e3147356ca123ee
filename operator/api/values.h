#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace stepdown::api {

inline constexpr const char* kGroup = "stepdown.dev";
inline constexpr const char* kVersion = "v1alpha1";
inline constexpr const char* kApiVersion = "stepdown.dev/v1alpha1";

/// JSON that passes through unread, as its text: fields that the schema preserves unknown.
struct RawJson {
  std::string text;
  bool operator==(const RawJson&) const = default;
};

/// A Kubernetes quantity: "16Gi", "500m", or a plain number in YAML.
struct Quantity {
  std::string text;
  bool operator==(const Quantity&) const = default;
};

/// What a quantity stands for, in bytes or units; nullopt when it is malformed.
std::optional<double> parse_amount(const std::string& text);
/// The same rounded up; nullopt too when it is too large.
std::optional<std::int64_t> parse_quantity(const std::string& text);

/// What this project reads of an object's metadata.
struct Metadata {
  std::string name;
  std::string ns;
  std::string uid;
  std::string resource_version;
  std::string creation_timestamp;
  std::int64_t generation = 0;
  bool deleting = false;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::vector<std::string> finalizers;
};

/// One measured figure.
struct Metric {
  std::optional<double> value;
  std::optional<double> baseline;     ///< FP16's
  std::optional<double> delta;        ///< value - baseline
  std::optional<std::int64_t> n;      ///< samples
  std::vector<double> interval = {};  ///< low and high end of the delta's 95 % interval; empty: not known
  bool operator==(const Metric&) const = default;
};
using Metrics = std::map<std::string, Metric>;

struct Calibration {
  std::string digest;  ///< of the prompts
  std::optional<std::int64_t> samples;
  std::optional<double> drift;  ///< from the evaluation prompts: 0 (alike) to 1
  std::string imatrix = {};     ///< digest of an importance matrix in place of prompts
  bool operator==(const Calibration&) const = default;
};

/// A LoRA adapter that is part of a model.
struct MergedAdapter {
  std::string digest;
  double weight = 1;
  bool operator==(const MergedAdapter&) const = default;
};

}  // namespace stepdown::api
