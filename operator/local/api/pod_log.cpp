#include "operator/local/api/pod_log.h"

#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "operator/local/api/metadata.h"

namespace stepdown::local::api {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kChunk = 64 * 1024;

std::vector<std::string> container_names(const Json& pod) {
  std::vector<std::string> names;
  for (const char* list : {"initContainers", "containers"}) {
    const Json containers = pod.at("spec").value(list, Json::array());
    for (const Json& container : containers) names.push_back(container.value("name", ""));
  }
  return names;
}

std::string container_of(const Json& pod, const std::string& asked) {
  const auto names = container_names(pod);
  const std::string name = meta(pod, "name");
  if (!asked.empty()) {
    if (std::find(names.begin(), names.end(), asked) != names.end()) return asked;
    throw bad_request("container " + asked + " is not valid for pod " + name);
  }
  const Json& containers = pod.at("spec").at("containers");
  if (containers.size() == 1) return containers[0].value("name", "");
  std::string choice;
  for (const std::string& each : names) choice += (choice.empty() ? "" : " ") + each;
  throw bad_request("a container name must be specified for pod " + name + ", choose one of: [" + choice +
                    "]");
}

/// Offset of the last `lines` lines.
std::uintmax_t tail_offset(const fs::path& file, std::int64_t lines) {
  std::ifstream in(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::size_t at = text.size();
  if (at > 0 && text[at - 1] == '\n') --at;
  for (; lines > 0 && at != std::string::npos && at > 0; --lines) {
    at = text.rfind('\n', at - 1);
    if (at == std::string::npos) return 0;
  }
  return lines > 0 ? 0 : at + 1;
}

class LogStream : public Stream {
 public:
  LogStream(fs::path file, std::uintmax_t offset, std::uintmax_t most, bool follow)
      : file_(std::move(file)), offset_(offset), left_(most), follow_(follow) {}

  std::optional<std::string> next() override {
    if (left_ == 0) return std::nullopt;
    std::ifstream in(file_, std::ios::binary);
    std::string chunk(std::min<std::uintmax_t>(kChunk, left_), '\0');
    in.seekg(static_cast<std::streamoff>(offset_));
    in.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    chunk.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    offset_ += chunk.size();
    left_ -= chunk.size();
    if (!chunk.empty()) return chunk;
    if (!follow_) return std::nullopt;
    // The folder goes when the pod does.
    if (!fs::exists(file_.parent_path())) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    return std::string();
  }

 private:
  fs::path file_;
  std::uintmax_t offset_;
  std::uintmax_t left_;
  bool follow_;
};

}  // namespace

Response pod_log(const fs::path& folder, const Json& pod, const Request& request) {
  const std::string container = container_of(pod, request.param("container"));
  const std::string suffix = request.flag("previous") ? ".previous.log" : ".log";
  const fs::path file = folder / (meta(pod, "namespace") + "_" + meta(pod, "name")) / (container + suffix);
  const bool follow = request.flag("follow");
  if (!fs::exists(file)) {
    if (request.flag("previous"))
      throw bad_request("previous terminated container " + in_quotes(container) + " in pod " +
                        in_quotes(meta(pod, "name")) + " not found");
    throw bad_request("container " + in_quotes(container) + " in pod " + in_quotes(meta(pod, "name")) +
                      " is waiting to start: ContainerCreating");
  }
  const auto tail = request.number("tailLines");
  const auto most = request.number("limitBytes");
  Response response;
  response.content_type = "text/plain";
  response.stream = std::make_unique<LogStream>(
      file, tail && *tail >= 0 ? tail_offset(file, *tail) : 0,
      most && *most > 0 ? static_cast<std::uintmax_t>(*most) : UINTMAX_MAX, follow);
  return response;
}

}  // namespace stepdown::local::api
