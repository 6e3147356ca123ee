#include "operator/kube/events.h"

#include <array>
#include <cstdio>
#include <map>
#include <mutex>

#include <nlohmann/json.hpp>

#include "engine/base/log.h"
#include "operator/kube/resources.h"
#include "operator/kube/time.h"

namespace stepdown::kube {
namespace {

using nlohmann::json;

constexpr std::chrono::minutes kSeriesGap{6};
constexpr std::chrono::seconds kWritePeriod{10};
constexpr std::size_t kLongestNote = 1024;
constexpr std::size_t kLongestName = 63;

/// Equal events are one series.
using Identity = std::array<std::string, 5>;

struct Series {
  ObjectKey event;
  int count = 1;
  int written = 1;
  EventRecorder::Clock::time_point last_seen;
  EventRecorder::Clock::time_point last_written;
};

/// Cut at 1 KiB, not within a UTF-8 sequence.
std::string shortened(std::string_view note) {
  if (note.size() <= kLongestNote) return std::string(note);
  std::size_t end = kLongestNote - 3;
  while (end > 0 && (static_cast<unsigned char>(note[end]) & 0xc0U) == 0x80U) --end;
  return std::string(note.substr(0, end)) + "...";
}

std::string event_name(const json& regarding, EventRecorder::Clock::time_point now) {
  const auto ticks = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  std::array<char, 24> suffix{};
  std::snprintf(suffix.data(), suffix.size(), ".%llx", static_cast<unsigned long long>(ticks));
  return key_of(regarding).name.substr(0, kLongestName) + suffix.data();
}

json reference_to(const json& object) {
  return {{"apiVersion", text_at(object, "/apiVersion")},
          {"kind", text_at(object, "/kind")},
          {"namespace", key_of(object).ns},
          {"name", key_of(object).name},
          {"uid", uid_of(object)},
          {"resourceVersion", resource_version_of(object)}};
}

}  // namespace

struct EventRecorder::State {
  Client client;
  std::string controller;
  std::string instance;
  std::function<Clock::time_point()> now;
  std::mutex mutex;
  std::map<Identity, Series> series;
};

EventRecorder::EventRecorder(Client client, std::string controller, std::string instance,
                             std::function<Clock::time_point()> now)
    : state_(
          new State{std::move(client), std::move(controller), std::move(instance), std::move(now), {}, {}}) {}
EventRecorder::~EventRecorder() = default;

void EventRecorder::normal(const json& regarding, std::string_view action, std::string_view reason,
                           std::string_view note) {
  record(regarding, "Normal", action, reason, note);
}

void EventRecorder::warning(const json& regarding, std::string_view action, std::string_view reason,
                            std::string_view note) {
  record(regarding, "Warning", action, reason, note);
}

void EventRecorder::record(const json& regarding, std::string_view type, std::string_view action,
                           std::string_view reason, std::string_view note) {
  const auto now = state_->now();
  const std::string text = shortened(note);
  const Identity identity = {uid_of(regarding), std::string(type), std::string(action), std::string(reason),
                             text};
  const std::string ns = key_of(regarding).ns.empty() ? "default" : key_of(regarding).ns;
  const std::lock_guard lock(state_->mutex);
  std::erase_if(state_->series, [&](const auto& entry) { return now - entry.second.last_seen > kSeriesGap; });
  try {
    const auto known = state_->series.find(identity);
    if (known != state_->series.end()) {
      Series& series = known->second;
      ++series.count;
      series.last_seen = now;
      if (series.written > 1 && now - series.last_written < kWritePeriod) return;
      const json patch = {
          {"series", {{"count", series.count}, {"lastObservedTime", format_micro_time(now)}}}};
      const auto patched = state_->client.patch_merge(resources::kEvents, series.event, patch);
      if (patched) {
        series.written = series.count;
        series.last_written = now;
        return;
      }
      if (!patched.error().not_found()) throw ApiException(patched.error());
      // It was deleted or expired: begin anew.
    }
    Series series{{ns, event_name(regarding, now)}, 1, 1, now, now};
    const auto created = state_->client.create(
        resources::kEvents, {{"apiVersion", "events.k8s.io/v1"},
                             {"kind", "Event"},
                             {"metadata", {{"namespace", ns}, {"name", series.event.name}}},
                             {"eventTime", format_micro_time(now)},
                             {"reportingController", state_->controller},
                             {"reportingInstance", state_->instance},
                             {"action", action},
                             {"reason", reason},
                             {"regarding", reference_to(regarding)},
                             {"note", text},
                             {"type", type}});
    if (!created) throw ApiException(created.error());
    state_->series[identity] = series;
  } catch (const Error& error) {
    log::warn("cannot record an event", {{"reason", reason}, {"note", text}, {"error", error.what()}});
  }
}

}  // namespace stepdown::kube
