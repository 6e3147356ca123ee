// What is asked of FP16 for the verdict alone: no client waits for it.
#include "operator/gateway/count.h"
#include "operator/gateway/proxy/proxy.h"
#include "operator/gateway/proxy/requests.h"
#include "operator/gateway/route/agreement.h"

namespace stepdown::gateway {
namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

}  // namespace

bool Proxy::draw_shadow(const Job& job) {
  if (job.expected.choices != 1 || shadows_ >= limits_.shadows) return false;
  return std::uniform_real_distribution<>()(random_) < traffic_.rollout().shadow;
}

Task<> Proxy::shadow(Job job, std::string text) {
  const auto self = shared_from_this();
  const Counted counted(shadows_);
  job.deadline = steady_clock::now() + limits_.request;
  const std::string body =
      greedy_copy(job.body).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (!job.expected
           .greedy) {  // two samples differ by chance: both variants give their one greedy answer instead
    Asked again = co_await ask(job, job.assignment.digest, Priority::kShadow, body);
    if (!again.judgement.passed()) co_return;
    text = again.judgement.text;
  }
  Asked fp16 = co_await ask(job, traffic_.rollout().fp16(), Priority::kShadow, body);
  if (!fp16.judgement.passed()) co_return;
  learn_control(fp16.judgement);
  const double differ = disagreement(text, fp16.judgement.text);
  metrics_.shadowed(job.assignment.digest, differ);
  traffic_.shadow_compared(job.assignment.digest, differ, system_clock::now());
}

Task<> Proxy::verify(Job job, Fault fault) {
  const auto self = shared_from_this();
  job.deadline = steady_clock::now() + limits_.request;
  nlohmann::ordered_json body = job.body;
  body["stream"] = false;
  body.erase("stream_options");
  const std::string text = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  Asked fp16 = co_await ask(job, traffic_.rollout().fp16(), Priority::kFirst, text);
  report(job, Asked{}, fault, fp16.judgement.passed());
}

}  // namespace stepdown::gateway
