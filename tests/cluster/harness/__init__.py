"""A real Kubernetes on this machine, for tests: built from Go modules, started in seconds, gone without a trace.

  tools.py          etcd, Kubernetes and Helm, built once and kept by version
  isolation.py      namespaces of the kernel that a whole cluster lives and dies in
  processes.py      start, watch and end programs
  certificates.py   the cluster's authority and what it signs
  control_plane.py  etcd, API server, controller manager, scheduler
  node.py           containerd, CNI, kubelet, kube-proxy
  cluster.py        all of it as one context manager, with kubectl and helm
  installation.py   Stepdown in it; rollout.py: a model from apply to Promoted, disturbed; grants.py: RBAC by the audit log;
                    policies.py: what NetworkPolicies let in
"""
