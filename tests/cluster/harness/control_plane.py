"""etcd and the API server, and, where workloads are to run, the controller manager and the scheduler."""

import json
import ssl
import urllib.error
import urllib.request

from .certificates import Authority
from .processes import free_ports

SERVICES = "10.96.0.0/16"
PODS = "10.88.0.0/16"

# The controllers that keep objects in order and run nothing.
KEEPERS = "garbage-collector-controller,namespace-controller,serviceaccount-controller"

# Who asked for what, and whether RBAC let it: what the test of grants reads.
AUDIT_POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}


class ControlPlane:
    def __init__(self, folder, programs, processes, address):
        self.folder, self.programs, self.processes, self.address = folder, programs, processes, address
        self.etcd_port, self.etcd_peer_port, self.port, self.controllers_port, self.scheduler_port = free_ports(5)
        self.server = f"https://127.0.0.1:{self.port}"
        self.audit_log = folder / "audit.log"
        self.authority = Authority(folder / "pki")
        self.sign()
        self.kubeconfig = self.authority.kubeconfig(folder / "kubeconfig", self.server, "admin")

    def sign(self):
        first_service = SERVICES.rsplit(".", 1)[0] + ".1"
        self.authority.sign(
            "apiserver", "/CN=kube-apiserver", usage="serverAuth",
            names=("DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc", "DNS:localhost", "IP:127.0.0.1",
                   f"IP:{first_service}", f"IP:{self.address}"),
        )
        self.authority.sign("admin", "/O=system:masters/CN=admin")
        # system:masters: without it, and without an account for each controller, no node is given a range of addresses.
        self.authority.sign("controllers", "/O=system:masters/CN=system:kube-controller-manager")
        self.authority.sign("scheduler", "/CN=system:kube-scheduler")
        self.authority.sign("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client")
        self.authority.token_keys()

    def start(self, objects, workloads):
        self.start_etcd()
        self.start_api_server()
        if objects:
            self.start_controllers("*" if workloads else KEEPERS)
        if workloads:
            self.start_scheduler()

    def start_etcd(self):
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.etcd_port, self.etcd_peer_port))
        self.processes.start("etcd", [
            self.programs / "etcd", "--name=one", f"--data-dir={self.folder / 'etcd'}", "--log-level=warn", "--unsafe-no-fsync",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}", "--quota-backend-bytes=4294967296",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=one={peer}",
        ])
        self.processes.wait_ready("etcd", lambda: answers(f"{client}/health"))

    def start_api_server(self):
        pki = self.authority.folder
        policy = self.folder / "audit-policy.json"
        policy.write_text(json.dumps(AUDIT_POLICY))
        self.processes.start("kube-apiserver", [
            self.programs / "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}", f"--advertise-address={self.address}", f"--secure-port={self.port}",
            f"--service-cluster-ip-range={SERVICES}", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            f"--client-ca-file={pki}/ca.crt", f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key",
            f"--kubelet-client-certificate={pki}/kubelet-client.crt", f"--kubelet-client-key={pki}/kubelet-client.key",
            f"--kubelet-certificate-authority={pki}/ca.crt", "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={pki}/accounts.pub",
            f"--service-account-signing-key-file={pki}/accounts.key",
            f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}",
            "--default-not-ready-toleration-seconds=10", "--default-unreachable-toleration-seconds=10",  # rather than five minutes
        ])
        trust = ssl.create_default_context(cafile=str(self.authority.certificate))
        self.processes.wait_ready("kube-apiserver", lambda: answers(f"{self.server}/readyz", trust))

    def start_controllers(self, chosen):
        pki = self.authority.folder
        as_controllers = self.authority.kubeconfig(self.folder / "controllers.kubeconfig", self.server, "controllers")
        self.processes.start("kube-controller-manager", [
            self.programs / "kube-controller-manager", f"--kubeconfig={as_controllers}", "--leader-elect=false", f"--controllers={chosen}",
            f"--root-ca-file={pki}/ca.crt", f"--service-account-private-key-file={pki}/accounts.key",
            f"--cluster-cidr={PODS}", "--allocate-node-cidrs=true", "--node-monitor-grace-period=20s", "--bind-address=127.0.0.1", f"--secure-port={self.controllers_port}",
        ])
        self.wait_healthy("kube-controller-manager", self.controllers_port)

    def start_scheduler(self):
        as_scheduler = self.authority.kubeconfig(self.folder / "scheduler.kubeconfig", self.server, "scheduler")
        self.processes.start("kube-scheduler", [
            self.programs / "kube-scheduler", f"--kubeconfig={as_scheduler}", "--leader-elect=false",
            f"--authentication-kubeconfig={as_scheduler}", f"--authorization-kubeconfig={as_scheduler}",
            "--bind-address=127.0.0.1", f"--secure-port={self.scheduler_port}",
        ])
        self.wait_healthy("kube-scheduler", self.scheduler_port)

    def wait_healthy(self, name, port):
        unchecked = ssl._create_unverified_context()  # it signs its own certificate
        self.processes.wait_ready(name, lambda: answers(f"https://127.0.0.1:{port}/healthz", unchecked))

    def restart_api_server(self, with_signal):
        self.processes.stop("kube-apiserver", with_signal)
        self.start_api_server()


def answers(url, context=None):
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False
