#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "operator/kube/informer.h"
#include "operator/local/proxy/tcp_forwarder.h"

namespace stepdown::local {

/// Which Service address leads to which endpoints: clusterIP:port → the ready endpoints of its slices, or,
/// when none is ready, the terminating ones that still serve. Headless Services and addresses outside 127/8
/// are left out. Pure.
TcpForwarder::Table forwarding_table(const std::vector<kube::ObjectPtr>& services,
                                     const std::vector<kube::ObjectPtr>& slices);

/// Forwards Services' cluster addresses to their endpoints.
class ServiceProxy {
 public:
  /// The informers must outlive it and not be started yet.
  ServiceProxy(kube::Informer& services, kube::Informer& slices);
  void update();

 private:
  kube::Informer& services_;
  kube::Informer& slices_;
  TcpForwarder forwarder_;
};

}  // namespace stepdown::local
