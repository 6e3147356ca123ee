"""A node: containerd, CNI bridge, kubelet and kube-proxy. Lives inside the namespaces of isolation.py; a second one shares its
bridge and its proxy, and is a node to Kubernetes all the same."""

import json
import pathlib
import platform
import signal
import subprocess
import sys

from . import isolation
from .control_plane import PODS

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "images"))
import oci

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ("containerd", "runc", "containernetworking-plugins", "iproute2", "procps", "iptables", "nftables", "conntrack", "kmod", "gcc", "libc6-dev")
PAUSE = "docker.io/stepdown/pause:1"


class Node:
    def __init__(self, folder, programs, processes, control_plane, number=1):
        self.programs, self.processes, self.control, self.number = programs, processes, control_plane, number
        self.name = "node" if number == 1 else f"node-{number}"
        self.cluster_folder, self.folder = folder, folder / self.name
        self.address = isolation.node_address(number)
        self.socket = f"/run/containerd-{number}.sock"

    def start(self):
        self.folder.mkdir()
        self.start_containerd()
        self.import_image(self.pause_archive())
        self.start_kubelet()
        if self.number == 1:
            self.start_proxy()

    def lose(self):
        """All that runs on it ends at once, and nobody tells the API server."""
        for program in (f"kubelet-{self.number}", f"containerd-{self.number}"):
            self.processes.stop(program, signal.SIGKILL)
        isolation.kill_cgroup(self.cgroup())

    def cgroup(self):
        return isolation.cgroup_of(self.number)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if isinstance(text, str) else json.dumps(text, indent=1))
        return path

    def start_containerd(self):
        isolation.write_once(self.cluster_folder / "cni/10-bridge.conflist", {
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [
                {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True,
                 "ipam": {"type": "host-local", "ranges": [[{"subnet": PODS.replace("/16", "/24")}]], "routes": [{"dst": "0.0.0.0/0"}]}},
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        })
        # Without CAP_SYS_RESOURCE, as in many VMs and containers, no process may be made safer from the OOM killer.
        config = self.write("containerd.toml", f"""version = 2
root = "{self.folder}/containerd"
state = "/run/containerd-{self.number}"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
                    "io.containerd.internal.v1.opt"]
[grpc]
  address = "{self.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  disable_hugetlb_controller = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{self.cluster_folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
""")
        self.processes.start(f"containerd-{self.number}", ["containerd", "-c", config])
        self.processes.wait_ready(f"containerd-{self.number}", lambda: self.ctr("version").returncode == 0)

    def ctr(self, *arguments):
        return subprocess.run(["ctr", "-a", self.socket, "-n", "k8s.io", *map(str, arguments)], capture_output=True, text=True, check=False)

    def import_image(self, archive):
        done = self.ctr("images", "import", archive)
        if done.returncode != 0:
            raise RuntimeError(f"containerd refuses {archive}: {done.stderr}")

    def pause_archive(self):
        program = self.folder / "pause/pause"
        program.parent.mkdir(exist_ok=True)
        subprocess.run(["gcc", "-static", "-O1", "-o", program, HERE / "pause.c"], check=True)
        archive = self.folder / "pause.tar"
        oci.write_archive(archive, PAUSE, [program.parent], ["/pause"], platform.machine())
        return archive

    def start_kubelet(self):
        pki, name, address = self.control.authority, self.name, self.address
        pki.sign(f"kubelet-{name}", f"/CN={name}", (f"DNS:{name}", f"IP:{address}"), "serverAuth")
        pki.sign(name, f"/O=system:nodes/CN=system:node:{name}")
        kubeconfig = pki.kubeconfig(self.folder / "kubeconfig", self.control.server, name)
        config = self.write("kubelet.json", {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": f"unix://{self.socket}",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": str(pki.certificate)}},
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{pki.folder}/kubelet-{name}.crt",
            "tlsPrivateKeyFile": f"{pki.folder}/kubelet-{name}.key",
            "port": 10250 + 10 * self.number,
            "healthzPort": 10248 + 10 * self.number,
            "nodeLeaseDurationSeconds": 8,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": self.cgroup_root(),
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            "maxOpenFiles": 20000,
            "podLogsDir": f"/var/log/pods/{name}",
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "makeIPTablesUtilChains": False,
            "nodeStatusUpdateFrequency": "5s",
            "syncFrequency": "5s",
        })
        self.processes.start(f"kubelet-{self.number}", [
            self.programs / "kubelet", f"--config={config}", f"--kubeconfig={kubeconfig}", f"--root-dir={self.folder}/kubelet",
            f"--hostname-override={name}", f"--node-ip={address}", f"--cert-dir={pki.folder}",
        ])

    def cgroup_root(self):
        """Below which all pods run; a kubelet makes no root itself."""
        name = self.cgroup()
        top = pathlib.Path("/sys/fs/cgroup")
        hierarchies = [top] if (top / "cgroup.controllers").exists() else [path for path in top.iterdir() if path.is_dir() and not path.is_symlink()]
        for hierarchy in hierarchies:
            (hierarchy / name).mkdir(exist_ok=True)
            for file in ("cpuset.cpus", "cpuset.mems"):  # empty in a new cgroup v1, and then nothing may run in it
                if (hierarchy / file).exists() and (hierarchy / name / file).exists() and not (hierarchy / "cgroup.controllers").exists():
                    (hierarchy / name / file).write_text((hierarchy / file).read_text())
        return f"/{name}"

    def start_proxy(self):
        self.control.authority.sign("proxy", "/CN=system:kube-proxy")
        kubeconfig = self.control.authority.kubeconfig(self.folder / "proxy.kubeconfig", self.control.server, "proxy")
        config = self.write("kube-proxy.json", {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "clusterCIDR": PODS,
            "hostnameOverride": self.name,
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        })
        self.processes.start("kube-proxy", [self.programs / "kube-proxy", f"--config={config}"])
