#pragma once

#include "operator/api/condition.h"
#include "operator/api/values.h"

/// status of QuantizedModel, field for field as crds/quantizedmodels.yaml, which describes each. The gateway
/// writes `verdict` and the condition CanaryHealthy; the operator all else.
namespace stepdown::api {

struct Summary {
  std::string method;
  std::string weight;
  std::string errors;
  std::string quality;
  std::string memory_saved;
  std::string message;
  bool operator==(const Summary&) const = default;
};

struct MemoryFigures {
  std::int64_t layers = 0;
  std::int64_t weights = 0;
  std::int64_t kv_per_token = 0;
  std::int64_t kv_windowed_per_token = 0;
  std::int64_t kv_window = 0;
  std::int64_t kv_expanded_per_token = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t activations = 0;
  std::int64_t repackable = 0;
  bool operator==(const MemoryFigures&) const = default;
};

struct ModelFacts {
  std::string inspect_job;
  std::string source;
  std::string place;  ///< of a remote source: the copy that was read
  std::string checked_at;
  std::string dataset;      ///< whose digest dataset_digest is
  std::string checked_for;  ///< salt of the rollout before whose promotion it was read again
  std::string dataset_digest;
  std::string adapters;         ///< whose files adapters_digest is of
  std::string adapters_digest;  ///< over all of them; empty: not read
  std::string digest;
  std::string format;
  std::string architecture;
  std::int64_t context_length = 0;
  std::int64_t size = 0;
  std::int64_t parameters = 0;       ///< 0: not told by headers
  std::int64_t attention_heads = 0;  ///< of queries
  std::int64_t intermediate_size = 0;
  std::string tokenizer_digest;
  std::string template_digest;
  MemoryFigures memory;
  bool operator==(const ModelFacts&) const = default;
};

namespace source_state {
inline constexpr const char* kFetching = "Fetching";
inline constexpr const char* kFetched = "Fetched";
inline constexpr const char* kFailed = "Failed";
}  // namespace source_state

/// A remote source, and its copy on the claim.
struct SourceStatus {
  std::string source;
  std::string revision;  ///< digest that the copy must have; empty: none was asked for
  std::string state;
  std::string message;
  std::string place;     ///< folder of the copy, pvc://claim/sources/<key>
  std::string file;      ///< in it, where the copy is that one file; empty: the whole folder
  std::string resolved;  ///< the source, pinned: what it stood for when it was fetched
  std::int64_t size = 0;
  std::string fetch_job;
  bool operator==(const SourceStatus&) const = default;

  /// What pods mount.
  std::string uri() const { return file.empty() ? place : place + "/" + file; }
};

struct FindingStatus {
  std::string id;
  std::string severity;
  std::string path;
  std::string message;
  std::string mend;
  bool operator==(const FindingStatus&) const = default;
};

namespace candidate_state {
inline constexpr const char* kPending = "Pending";
inline constexpr const char* kQuantizing = "Quantizing";
inline constexpr const char* kEvaluating = "Evaluating";
inline constexpr const char* kPassed = "Passed";
inline constexpr const char* kFailed = "Failed";
inline constexpr const char* kBlocked = "Blocked";
inline constexpr const char* kChosen = "Chosen";
}  // namespace candidate_state

/// A row of status.candidates, and status.baseline.
struct CandidateStatus {
  std::string name;
  std::string state;
  std::string message;
  std::string digest;
  std::string uri;
  std::int64_t size = 0;
  std::string quantize_job;
  std::string evaluate_job;
  std::optional<double> bits;
  std::string tool_version;
  std::string report;
  std::optional<Calibration> calibration;
  std::vector<MergedAdapter> adapters;
  std::vector<std::int64_t> fp16_kv_layers;  ///< that failed the attention check
  std::optional<bool> ladder;                ///< the spec names it not: every candidate missed an SLO
  Metrics metrics;
  std::int64_t collected = 0;
  bool operator==(const CandidateStatus&) const = default;
};

/// What an evaluation's figures hold for. Empty: not known.
struct EvaluationInputs {
  std::string base;
  std::string adapters;
  std::string adapters_digest;
  std::string tokenizer;
  std::string chat_template;
  std::string dataset;
  std::string dataset_digest;
  std::string suites;
  std::string engine;
  std::string kv_type;
  std::string context;
  std::string hardware;
  std::string hardware_class;
  bool operator==(const EvaluationInputs&) const = default;
};

struct EvaluationStatus {
  EvaluationInputs inputs;
  std::int64_t round = 0;          ///< how often the figures became stale
  std::vector<std::string> stale;  ///< what changed, until all is measured again
  bool operator==(const EvaluationStatus&) const = default;
};

struct TrafficShare {
  std::string revision;
  std::string digest;
  std::string role;
  std::int64_t percent = 0;
  bool operator==(const TrafficShare&) const = default;
};

namespace role {
inline constexpr const char* kFp16 = "fp16";
inline constexpr const char* kStable = "stable";
inline constexpr const char* kCandidate = "candidate";
}  // namespace role

struct Route {
  std::string digest;
  std::string service;
  std::string role;
  bool operator==(const Route&) const = default;
};

struct RolloutStatus {
  std::string digest;
  std::int64_t weight = 0;
  std::int64_t epoch = 0;
  std::int64_t retried_epoch = 0;
  std::string salt;
  std::int64_t step = 0;
  std::string step_started_at;
  std::string stable;
  std::int64_t control_percent = 0;
  std::vector<Route> routes;
  bool operator==(const RolloutStatus&) const = default;
};

struct Arms {
  std::int64_t candidate = 0;
  std::int64_t control = 0;
  bool operator==(const Arms&) const = default;
};

struct ShadowFigures {
  std::int64_t pairs = 0;
  double disagreement = 0;
  bool operator==(const ShadowFigures&) const = default;
};

struct Verdict {
  std::string digest;
  std::int64_t epoch = 0;
  std::string state;  ///< "Watching" or "Tripped"
  std::string reason;
  std::string detected_by;
  RawJson evidence;
  std::int64_t step_answers = 0;  ///< the candidate's that were judged since this epoch began
  std::optional<Arms> answers;
  std::optional<Arms> errors;
  std::optional<ShadowFigures> shadow;
  std::optional<std::int64_t> bad_answers;
  std::string first_bad_at;
  std::string tripped_at;
  std::string fp16_wanted_at;
  std::string fp16_at;
  std::optional<double> ms_trip_to_fp16;
  std::optional<double> ms_since_first_bad;
  bool operator==(const Verdict&) const = default;
};

struct Blocked {
  std::string digest;
  std::string reason;
  std::string at;
  bool operator==(const Blocked&) const = default;
};

struct Rollback {
  std::string digest;
  std::string revision;
  std::string reason;
  std::string message;
  std::string detected_by;
  std::string at;
  std::int64_t weight = 0;
  std::optional<std::int64_t> bad_answers;
  std::optional<double> ms_trip_to_fp16;
  std::optional<double> ms_since_first_bad;
  bool operator==(const Rollback&) const = default;
};

struct CommandStatus {
  std::string id;
  std::string verb;
  std::string digest;
  std::string result;  ///< "Done" or "Refused"
  std::string message;
  std::string at;
  bool operator==(const CommandStatus&) const = default;
};

struct QuantizedModelStatus {
  std::int64_t observed_generation = 0;
  std::string phase;
  std::vector<Condition> conditions;
  Summary summary;
  std::vector<SourceStatus> sources;
  std::optional<ModelFacts> model;
  std::vector<FindingStatus> findings;
  std::optional<ModelFacts> artifact;  ///< of spec.quantization.fromRevision, as its files are
  std::optional<EvaluationStatus> evaluation;
  std::optional<CandidateStatus> baseline;
  std::vector<CandidateStatus> candidates;
  std::vector<std::string> leftovers;
  std::string current_revision;
  std::string stable_revision;
  std::vector<TrafficShare> traffic;
  std::optional<RolloutStatus> rollout;
  std::optional<Verdict> verdict;
  std::vector<Blocked> blocked;
  std::optional<Rollback> last_rollback;
  std::optional<bool> paused;
  std::optional<CommandStatus> command;
  bool operator==(const QuantizedModelStatus&) const = default;

  bool is_blocked(const std::string& digest) const;
};

}  // namespace stepdown::api
