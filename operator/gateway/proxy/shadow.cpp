// What is asked of FP16 for the verdict alone: no client waits for it.
#include "operator/gateway/count.h"
#include "operator/gateway/proxy/proxy.h"
#include "operator/gateway/proxy/requests.h"
#include "operator/gateway/route/agreement.h"

namespace stepdown::gateway {
namespace {

using std::chrono::steady_clock;
using std::chrono::system_clock;

std::string unstreamed(nlohmann::ordered_json body) {
  body["stream"] = false;
  body.erase("stream_options");
  return body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

bool Proxy::draw_shadow(Job& job) {
  if (job.expected.choices != 1 || shadows_ >= limits_.shadows) return false;
  job.record.shadowed = std::uniform_real_distribution<>()(random_) < traffic_.rollout().shadow;
  return job.record.shadowed;
}

Task<> Proxy::shadow(Job job, std::string text) {
  const auto self = shared_from_this();
  const Counted counted(shadows_);
  job.gone = {};
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
  const Counted counted(verifications_);
  job.gone = {};
  job.deadline = steady_clock::now() + limits_.request;
  Asked fp16 = co_await ask(job, traffic_.rollout().fp16(), Priority::kFirst, unstreamed(job.body));
  report(job, Asked{}, fault, fp16.judgement.passed());
}

void Proxy::given_up(const Job& job) {
  const auto waited =
      std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - job.started);
  if (waited < limits_.long_wait) return;
  if (!job.quantized()) {  // FP16 keeps clients waiting too: long answers are no fault of the candidate's
                           // alone
    Job control = job;
    report(control, Asked{}, Fault::kTimeout, false);
    return;
  }
  if (shadows_ >= limits_.shadows) return;
  asio::co_spawn(io_, verify_hang(job, waited / 4), asio::detached);
}

Task<> Proxy::verify_hang(Job job, std::chrono::milliseconds limit) {
  const auto self = shared_from_this();
  const Counted counted(shadows_);
  job.gone = {};
  job.ms = std::nullopt;
  job.deadline = steady_clock::now() + limit;
  Asked fp16 = co_await ask(job, traffic_.rollout().fp16(), Priority::kShadow, unstreamed(job.body));
  if (fp16.judgement.passed()) report(job, Asked{}, Fault::kTimeout, true);
}

}  // namespace stepdown::gateway
