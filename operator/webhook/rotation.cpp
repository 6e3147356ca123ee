#include "operator/webhook/rotation.h"

#include "engine/base/error.h"

namespace stepdown::webhook {
namespace {

constexpr const char* kAuthorityName = "stepdown-webhook-ca";

pki::KeyPair new_authority(const Lifetimes& lifetimes, pki::Time now) {
  return pki::make_authority(kAuthorityName, {now, now + lifetimes.authority});
}

pki::KeyPair new_serving(const pki::KeyPair& authority, const std::vector<std::string>& names,
                         const Lifetimes& lifetimes, pki::Time now) {
  const pki::Time end = std::min(now + lifetimes.serving, pki::validity_of(authority.certificate).to);
  return pki::issue(
      authority,
      {.common_name = names.empty() ? "stepdown-webhook" : names.front().substr(4), .names = names},
      {now, end});
}

bool due(const std::string& certificate, pki::Time now) {
  const pki::Validity validity = pki::validity_of(certificate);
  return now >= validity.from + (validity.to - validity.from) * 2 / 3;
}

bool over(const std::string& certificate, pki::Time now) {
  return now >= pki::validity_of(certificate).to;
}

Certificates from_scratch(const std::vector<std::string>& names, const Lifetimes& lifetimes, pki::Time now) {
  Certificates out;
  out.authority = new_authority(lifetimes, now);
  out.serving = new_serving(out.authority, names, lifetimes, now);
  return out;
}

/// Whole, unexpired and of one authority or the one before.
bool usable(const Certificates& held, pki::Time now) {
  try {
    return pki::belong_together(held.authority) && pki::belong_together(held.serving) &&
           !over(held.authority.certificate, now) && !over(held.serving.certificate, now) &&
           (pki::issued_by(held.serving.certificate, held.authority.certificate) ||
            (!held.previous_authority.empty() &&
             pki::issued_by(held.serving.certificate, held.previous_authority)));
  } catch (const InputError&) {
    return false;
  }
}

}  // namespace

std::optional<Certificates> renewed(const std::optional<Certificates>& now_held,
                                    const std::vector<std::string>& names, const Lifetimes& lifetimes,
                                    pki::Time now) {
  if (!now_held || !usable(*now_held, now)) return from_scratch(names, lifetimes, now);
  Certificates next = *now_held;
  if (!next.previous_authority.empty() && over(next.previous_authority, now)) next.previous_authority.clear();
  const bool own = pki::issued_by(next.serving.certificate, next.authority.certificate);
  if (due(next.authority.certificate, now) && own) {
    next.previous_authority = next.authority.certificate;
    next.authority = new_authority(lifetimes, now);
  } else if (own ? due(next.serving.certificate, now)
                 : now >= pki::validity_of(next.authority.certificate).from + lifetimes.announcement) {
    next.serving = new_serving(next.authority, names, lifetimes, now);
  }
  if (next == *now_held) return std::nullopt;
  return next;
}

}  // namespace stepdown::webhook
