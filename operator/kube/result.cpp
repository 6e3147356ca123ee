#include "operator/kube/result.h"

namespace stepdown::kube {

std::string ApiError::text() const {
  std::string text = std::to_string(code);
  if (!reason.empty()) text += " " + reason;
  if (!message.empty()) text += ": " + message;
  return text;
}

}  // namespace stepdown::kube
