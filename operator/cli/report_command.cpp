#include "operator/cli/report_command.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "operator/api/kinds.h"
#include "operator/cli/model_target.h"
#include "operator/cli/report_pod.h"
#include "operator/kube/resources.h"

namespace stepdown::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string candidate;
  std::string output;
  bool open = false;
  int wait_seconds = 60;
};

/// The candidate asked for; without one the one that was chosen, else the first that was measured.
const api::CandidateStatus& find_row(const api::QuantizedModel& model, const std::string& asked) {
  std::vector<const api::CandidateStatus*> rows;
  for (const api::CandidateStatus& row : model.status.candidates) rows.push_back(&row);
  if (model.status.baseline) rows.push_back(&*model.status.baseline);
  std::erase_if(rows, [](const auto* row) { return row->report.empty() || row->metrics.empty(); });
  std::stable_partition(rows.begin(), rows.end(),
                        [](const auto* row) { return row->state == api::candidate_state::kChosen; });
  std::string known;
  for (const auto* row : rows) {
    if (asked.empty() || row->name == asked) return *row;
    known += (known.empty() ? "" : ", ") + row->name;
  }
  if (rows.empty()) {
    throw InputError("nothing was evaluated yet", model.metadata.name,
                     "give spec.evaluation.dataset, or wait: kubectl stepdown status " + model.metadata.name);
  }
  throw InputError("no candidate of that name was evaluated: " + asked, model.metadata.name,
                   "use one of " + known);
}

/// A pod of ours that is removed when this command ends, however it ends.
class Pod {
 public:
  Pod(const Connection& connection, const json& object)
      : connection_(connection),
        key_(kube::key_of(connection.client.create(kube::resources::kPods, object).value())) {}
  ~Pod() {
    try {
      static_cast<void>(connection_.client.remove(kube::resources::kPods, key_, {.grace_period_seconds = 0}));
    } catch (const std::exception&) {
      // Its owner's deletion takes it along.
    }
  }
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;

  std::string output(std::chrono::seconds limit) const {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    std::string waits;
    while (std::chrono::steady_clock::now() < deadline) {
      const json pod = connection_.client.get(kube::resources::kPods, key_).value();
      const std::string phase = kube::text_at(pod, "/status/phase");
      if (phase == "Succeeded") return log();
      if (phase == "Failed") throw Error("the report cannot be read: " + log(), key_.text());
      waits = kube::text_at(pod, "/status/containerStatuses/0/state/waiting/message");
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    throw Error("no pod could read the report in time" + (waits.empty() ? "" : ": " + waits), key_.text(),
                "raise --wait");
  }

 private:
  std::string log() const {
    return connection_.client.raw("/api/v1/namespaces/" + key_.ns + "/pods/" + key_.name + "/log").value();
  }

  const Connection& connection_;
  kube::ObjectKey key_;
};

void open_in_browser(const std::string& file) {
  std::array<char*, 3> arguments = {const_cast<char*>("xdg-open"), const_cast<char*>(file.c_str()), nullptr};
  pid_t child = 0;
  int status = 0;
  if (::posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0 ||
      ::waitpid(child, &status, 0) != child || status != 0) {
    throw Error("no browser could be started", file, "install xdg-utils, or open the file by hand");
  }
}

int report(const ClusterTarget& target, const std::string& name, const Options& options) {
  const Connection connection = target.connect();
  const json object = get_model(connection, name);
  const auto model = api::parse_quantized_model(object, api::UnknownFields::kIgnore);
  const api::CandidateStatus& row = find_row(model, options.candidate);
  const auto job = connection.client.get(kube::resources::kJobs, {connection.ns, row.evaluate_job});
  if (!job) {
    throw Error("the Job that wrote the report is gone", row.evaluate_job,
                "the report lies at " + row.report);
  }
  const std::string html = Pod(connection, report_pod(object, *job, row.report))
                               .output(std::chrono::seconds(options.wait_seconds));
  if (options.output == "-") {
    std::fwrite(html.data(), 1, html.size(), stdout);
    return kDone;
  }
  std::string file = options.output;
  if (file.empty()) {
    file = name + "-" + row.name + ".html";
    std::ranges::replace(file, '/', '-');
  }
  write_file_atomically(std::filesystem::absolute(file), html);
  std::printf("%s (%s, %zu KiB)\n", file.c_str(), row.name.c_str(), html.size() / 1024);
  if (options.open) open_in_browser(file);
  return kDone;
}

}  // namespace

Command report_command() {
  return {"report", "Save or open the HTML report of an evaluation", [](CLI::App& app) {
            const auto name = add_model_name(app);
            const auto target = add_cluster_target(app);
            const auto options = std::make_shared<Options>();
            app.add_option("--candidate", options->candidate,
                           "Such as gguf/Q4_K_M, or fp16 (default: the one that was chosen)");
            app.add_option("-o,--output", options->output,
                           "File to write, - for standard output (default: NAME-CANDIDATE.html)")
                ->type_name("FILE");
            app.add_flag("--open", options->open, "Open it in a browser");
            app.add_option("--wait", options->wait_seconds, "Seconds for the pod that reads it")
                ->capture_default_str();
            return [=] { return report(*target, *name, *options); };
          }};
}

}  // namespace stepdown::cli
