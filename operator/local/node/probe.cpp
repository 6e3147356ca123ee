#include "operator/local/node/probe.h"

#include <httplib.h>
#include <nlohmann/json.hpp>

#include "engine/base/error.h"
#include "operator/kube/object.h"
#include "operator/kube/time.h"

namespace stepdown::local {

using kube::integer_at;
using kube::text_at;
using kube::value_at;
using nlohmann::json;

namespace {

int resolve_port(const json& port, const json& ports) {
  if (port.is_number_integer()) return port.get<int>();
  for (const json& known : ports) {
    if (port.is_string() && text_at(known, "/name") == port.get<std::string>()) {
      return static_cast<int>(integer_at(known, "/containerPort", 0));
    }
  }
  throw InputError("a probe names a port that the container lacks", port.dump(),
                   "add it to the container's ports");
}

}  // namespace

Probe parse_probe(const json& spec, const json& ports, const std::string& pod_ip) {
  Probe probe;
  probe.http = spec.contains("httpGet");
  if (!probe.http && !spec.contains("tcpSocket")) {
    throw InputError("only httpGet and tcpSocket probes are supported by the local node", spec.dump());
  }
  const json& action = probe.http ? spec["httpGet"] : spec["tcpSocket"];
  if (text_at(action, "/scheme") == "HTTPS")
    throw InputError("HTTPS probes are not supported by the local node");
  probe.host = text_at(action, "/host").empty() ? pod_ip : text_at(action, "/host");
  probe.port = resolve_port(value_at(action, "/port"), ports);
  if (const std::string path = text_at(action, "/path"); !path.empty()) probe.path = path;
  for (const json& header : value_at(action, "/httpHeaders")) {
    probe.headers.emplace_back(text_at(header, "/name"), text_at(header, "/value"));
  }
  probe.initial_delay = kube::seconds_at(spec, "/initialDelaySeconds", 0);
  probe.period = std::max(std::chrono::seconds(1), kube::seconds_at(spec, "/periodSeconds", 10));
  probe.timeout = std::max(std::chrono::seconds(1), kube::seconds_at(spec, "/timeoutSeconds", 1));
  probe.success_threshold = static_cast<int>(integer_at(spec, "/successThreshold", 1));
  probe.failure_threshold = static_cast<int>(integer_at(spec, "/failureThreshold", 3));
  return probe;
}

ProbeResult run_probe(const Probe& probe) {
  httplib::Client http(probe.host, probe.port);
  http.set_connection_timeout(probe.timeout);
  http.set_read_timeout(probe.timeout);
  http.set_write_timeout(probe.timeout);
  if (!probe.http) {
    // httplib connects only to speak; any answer, even a broken one, shows that something listens.
    const auto result = http.Get("/");
    const bool connected = result || result.error() != httplib::Error::Connection;
    return {connected, connected ? "" : "connection refused"};
  }
  httplib::Headers headers = {{"User-Agent", "kube-probe/stepdown"}};
  for (const auto& [name, value] : probe.headers) headers.emplace(name, value);
  const auto result = http.Get(probe.path, headers);
  if (!result)
    return {false, "Get \"http://" + probe.host + ":" + std::to_string(probe.port) + probe.path +
                       "\": " + httplib::to_string(result.error())};
  if (result->status >= 200 && result->status < 400) return {true, {}};
  return {false, "HTTP probe failed with statuscode: " + std::to_string(result->status)};
}

bool ProbeCounter::due(Clock::time_point now, Clock::time_point container_started) const {
  if (now < container_started + probe_->initial_delay) return false;
  return !last_ || now >= *last_ + probe_->period;
}

bool ProbeCounter::count(const ProbeResult& result, Clock::time_point now) {
  last_ = now;
  successes_ = result.passed ? successes_ + 1 : 0;
  failures_ = result.passed ? 0 : failures_ + 1;
  const bool before = passing_;
  if (successes_ >= probe_->success_threshold) passing_ = true;
  if (failures_ >= probe_->failure_threshold) passing_ = false;
  return before != passing_;
}

}  // namespace stepdown::local
