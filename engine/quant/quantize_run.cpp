#include "engine/quant/quantize_run.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <malloc.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "engine/base/file_error.h"
#include "engine/base/hash.h"
#include "engine/base/system_facts.h"
#include "engine/base/version.h"
#include "engine/formats/model_file.h"
#include "engine/formats/staging_folder.h"
#include "engine/quant/calibration/calibration_set.h"
#include "engine/quant/memory_estimate.h"
#include "engine/quant/method.h"
#include "engine/quant/quantize_options.h"

namespace stepdown::quant {
namespace {

namespace fs = std::filesystem;

void check(const QuantizeOptions& options) {
  if (options.artifacts.empty() == options.out.empty()) {
    throw InputError("exactly one result is needed", "command line",
                     "give either --artifacts DIR or --out PATH");
  }
}

/// --out names a file, or a folder to put the method's file into; for methods that write a folder, that
/// folder.
fs::path out_path(const QuantizeOptions& options, const Method& method) {
  fs::path target = options.out;
  if (method.file_name.empty()) {
    if (fs::exists(target) && !(fs::is_directory(target) && fs::is_empty(target))) {
      throw InputError("exists already", "--out " + options.out, "name a new folder");
    }
  } else if (!target.has_extension() || fs::is_directory(target)) {
    target /= method.file_name;
  }
  target = fs::absolute(target);
  std::error_code absent;  // then it is no file of the model
  if (fs::equivalent(target, options.model, absent) ||
      fs::equivalent(target.parent_path(), options.model, absent)) {
    throw InputError("the result would become part of the model it is made from", "--out " + options.out,
                     "name a file or folder elsewhere");
  }
  return target;
}

/// What scales are learnt from: an importance matrix goes before prompts; null: neither.
nlohmann::json calibration_json(const QuantizeOptions& options, const CalibrationSet* prompts) {
  if (!options.request.imatrix.empty())
    return {{"imatrix", "sha256:" + artifact_digest(options.request.imatrix)}};
  return prompts == nullptr ? nlohmann::json(nullptr) : prompts->report();
}

/// Names one piece of work, so that a rerun of it takes up what a killed run left.
std::string work_key(const QuantizeOptions& options, const std::string& base, const nlohmann::json& adapters,
                     const nlohmann::json& learnt_from) {
  const WeightSettings& w = options.request.weights;
  const nlohmann::json work = {base,
                               adapters,
                               options.method,
                               options.request.preset,
                               options.request.budget,
                               learnt_from,
                               w.bits,
                               w.group_size,
                               w.granularity,
                               w.symmetric,
                               w.search_clip,
                               w.act_order,
                               w.static_groups,
                               w.damping,
                               static_cast<int>(w.gptq_version.value_or(formats::GptqVersion{})),
                               w.steps,
                               w.migration,
                               w.static_activations,
                               options.request.max_hours,
                               options.request.learning_rate,
                               options.calibration.max_tokens,
                               std::string(kVersion)};
  return sha256_hex(work.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)).substr(0, 16);
}

/// Beside what lies in the folder of a piece of work: the digest of the base that it was made from. The
/// folder's name tells bases apart by a sample alone, so that the work need not wait for the digest.
class BaseNote {
 public:
  /// Of another base, or of one that was killed before it was known, nothing in `folder` stays.
  BaseNote(const fs::path& folder, std::shared_future<std::string> base)
      : folder_(folder), file_(folder / ".base") {
    if (!fs::is_empty(folder_)) {
      std::string told;
      std::ifstream(file_) >> told;
      if (told != base.get()) clear();
    }
    written_ = std::async(std::launch::async, [this, base = std::move(base)] {
      std::ofstream(file_) << base.get();  // one that is cut short is another base's
    });
  }
  ~BaseNote() {
    written_.wait();
    std::error_code ignored;  // what stays is told apart when the folder is taken up
    if (std::distance(fs::directory_iterator(folder_, ignored), {}) == 1) fs::remove(file_, ignored);
  }
  BaseNote(const BaseNote&) = delete;
  BaseNote& operator=(const BaseNote&) = delete;

  /// The result is whole.
  void remove() {
    written_.wait();
    fs::remove(file_);
  }

 private:
  void clear() {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder_)) found.push_back(entry.path());
    for (const fs::path& each : found) fs::remove_all(each);
  }

  fs::path folder_;
  fs::path file_;
  std::future<void> written_;
};

/// Renames the result to where it belongs, and tells where and under which digest.
struct Published {
  fs::path path;
  std::string digest;
};
Published publish(formats::StagingFolder& staging, const QuantizeOptions& options, const Method& method,
                  const MethodResult& result) {
  const std::string digest = result.digest.empty() ? artifact_digest(staging.path()) : result.digest;
  if (!options.artifacts.empty()) {
    const fs::path folder = fs::path(options.artifacts) / digest;
    staging.publish_folder(folder);
    return {method.file_name.empty() ? folder : folder / method.file_name, digest};
  }
  const fs::path target = out_path(options, method);
  if (method.file_name.empty()) {
    std::error_code ignored;  // an empty folder in the way; the rename tells if it stays
    fs::remove(target, ignored);
    staging.publish_folder(target);
  } else {
    staging.publish_file(std::string(method.file_name), target);
  }
  return {target, digest};
}

/// Does `work` in the folder, which is kept for another try but where that could not go on: what cannot be
/// quantized as asked cannot be when it is asked again, and on a volume that is full each try would end where
/// this one did, while what is kept takes the room that others wait for.
auto work_in(formats::StagingFolder& staging, const auto& work) {
  try {
    return telling_file_errors(work);
  } catch (const InputError&) {
    staging.discard();
    throw;
  } catch (const DiskFull&) {
    staging.discard();
    throw;
  }
}

/// Matrices of a block and what prompts are on their way through it go back to the machine when they are
/// freed. glibc keeps what is below a threshold, which it raises to 32 MB as such are freed, and the holes
/// between: a fifth of the peak of a mixture's experts, a seventh of a block's that is 1024 wide.
void return_freed_matrices() {
#if defined(__GLIBC__)
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

}  // namespace

nlohmann::json run_quantize(const QuantizeOptions& options, const CheckInputs& check_inputs) {
  const auto began = Clock::now();
  return_freed_matrices();
  check(options);
  const Method& method = find_method(options.method);
  if (!options.request.preset.empty() && method.name != "gguf") {
    throw InputError("presets belong to method gguf", "--preset", "leave it out");
  }
  const fs::path parent =
      options.artifacts.empty() ? out_path(options, method).parent_path() : fs::path(options.artifacts);
  const std::vector<formats::Adapter> given = formats::parse_adapters(options.adapters);
  const auto model = formats::open_model(options.model, given);
  std::optional<CalibrationSet> calibration;
  if (!options.calibration.path.empty()) calibration.emplace(*model, options.calibration);
  const CalibrationSet* prompts = calibration ? &*calibration : nullptr;

  // Hashed beside the work: where little is searched it takes as long as that does, and a model that is
  // larger than the memory would be read twice.
  const std::shared_future<std::string> base = std::async(
      std::launch::async, [&options] { return artifact_digest(options.model, FileAccess::kMapped); });
  const nlohmann::json adapters = formats::adapters_json(given);
  const nlohmann::json learnt_from = calibration_json(options, prompts);
  if (check_inputs) {
    check_inputs({{"base", "sha256:" + base.get()}, {"adapters", adapters}, {"calibration", learnt_from}});
  }
  formats::StagingFolder staging(parent,
                                 work_key(options, sampled_digest(options.model), adapters, learnt_from));
  BaseNote note(staging.path(), base);
  const MethodRun run{*model, options.model, options.request, prompts, options.threads};
  const std::uint64_t predicted = peak_with(method.memory(run));
  const auto method_began = Clock::now();
  const MethodResult result = work_in(staging, [&] { return method.run(run, staging.path()); });
  const double method_seconds = seconds_since(method_began);
  note.remove();
  const Published published = work_in(staging, [&] { return publish(staging, options, method, result); });

  nlohmann::json report = {{"digest", "sha256:" + published.digest},
                           {"path", published.path.string()},
                           {"size", result.size},
                           {"method", method.name},
                           {"preset", result.preset},
                           {"bits", result.bits},
                           {"base", "sha256:" + base.get()},
                           {"adapters", adapters},
                           {"toolVersion", "stepdown-engine " + std::string(kVersion)},
                           {"peakMemoryBytes", peak_memory_bytes()},
                           {"predictedMemoryBytes", predicted},
                           {"seconds", seconds_since(began)},
                           {"methodSeconds", method_seconds},
                           {"tensors", result.tensors},
                           {"calibration", nullptr}};
  if (result.used_calibration) report["calibration"] = learnt_from;
  if (!result.training.is_null()) report["training"] = result.training;
  if (!result.layers.is_null()) report["layers"] = result.layers;
  return report;
}

}  // namespace stepdown::quant
