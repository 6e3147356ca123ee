#include "engine/fetch/fetch_command.h"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "engine/base/arguments.h"
#include "engine/base/error.h"
#include "engine/base/termination_log.h"
#include "engine/fetch/fetch.h"

namespace stepdown::fetch {
namespace {

using nlohmann::json;

struct Options {
  FetchOptions fetch;
  std::string out;
  std::string credentials;
  bool resolve = false;
  std::string termination_log = kTerminationLog;
};

void report(const Options& options, const json& summary) {
  write_termination_log(options.termination_log, summary);
  std::printf("%s\n", summary.dump(1).c_str());
}

int resolve(const Options& options) {
  const Listing listing = resolve_source(options.fetch);
  std::uint64_t size = 0;
  for (const RemoteFile& file : listing.files) size += file.size;
  report(options, {{"source", options.fetch.source},
                   {"resolved", listing.resolved},
                   {"files", listing.files.size()},
                   {"size", size}});
  return kDone;
}

int run(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  const FetchResult result = fetch(options.fetch);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  json summary = {{"source", options.fetch.source},
                  {"resolved", result.resolved},
                  {"path", result.path.string()},
                  {"files", result.files},
                  {"size", result.size},
                  {"fetched", result.fetched},
                  {"kept", result.kept},
                  {"wasThere", result.was_there},
                  {"seconds", seconds}};
  if (!options.fetch.digest.empty()) summary["digest"] = options.fetch.digest;
  report(options, summary);
  return kDone;
}

/// What the operator shows of a Job that failed: the error alone, not the progress before it.
void leave_word(const std::string& path, const std::exception& error) {
  if (path == kTerminationLog && !std::filesystem::exists(path)) return;
  constexpr std::size_t kLongest = 2048;
  std::ofstream(path, std::ios::binary | std::ios::trunc) << std::string(error.what()).substr(0, kLongest);
}

std::function<int()> configure(CLI::App& app) {
  const auto options = std::make_shared<Options>();
  FetchOptions& fetch = options->fetch;
  app.add_option("--source", fetch.source,
                 "oci://HOST/REPOSITORY[:TAG][@DIGEST] (oci+http:// without TLS),\n"
                 "s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME&style=path|virtual],\n"
                 "hf://[datasets/]OWNER/NAME[@REVISION][/PATH][?endpoint=URL]")
      ->required()
      ->type_name("URI");
  app.add_option("--out", options->out, "Folder to be made; it appears once everything is there and checked")
      ->type_name("DIR");
  app.add_option("--revision", fetch.revision, "Tag, branch, commit or digest, in place of the source's")
      ->type_name("REVISION");
  app.add_option("--digest", fetch.digest, "Digest that the result must have, as inspect tells it")
      ->check(sha256_digest())
      ->type_name("sha256:HEX");
  app.add_option(
         "--credentials", options->credentials,
         "Folder of a mounted Secret: .dockerconfigjson, or username and password; AWS_ACCESS_KEY_ID,\n"
         "AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL; HF_TOKEN, HF_ENDPOINT;\n"
         "ca.crt. What it lacks is taken from the environment's variables of these names")
      ->type_name("DIR");
  app.add_option("--ca-file", fetch.ca_file, "Authorities to trust in place of the system's, PEM")
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
  app.add_option("--parallel", fetch.parallel, "Files at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--tries", fetch.retries.tries, "Tries in a row without a byte before giving up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--resolve", options->resolve, "Only tell what lies there, and its size");
  app.add_option("--termination-log", options->termination_log, "Where a Kubernetes Job leaves its summary")
      ->type_name("FILE")
      ->capture_default_str();
  return [options] {
    if (!options->resolve && options->out.empty())
      throw InputError("--out or --resolve is required", "fetch");
    options->fetch.out = options->out;
    options->fetch.credentials = options->credentials;
    try {
      return options->resolve ? resolve(*options) : run(*options);
    } catch (const std::exception& error) {
      leave_word(options->termination_log, error);
      throw;
    }
  };
}

}  // namespace

Command fetch_command() {
  return {"fetch", "Bring a model from a registry, an object store or the Hub", configure};
}

}  // namespace stepdown::fetch
