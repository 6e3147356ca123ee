"""Namespaces of the kernel that a whole cluster lives in.

A kubelet leaves bridges, firewall rules, mounts and containers behind when it is killed. In a network, mount and process
namespace of their own all of these vanish with the last process, however it ended, and nothing of the machine is touched.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MARK = "STEPDOWN_CLUSTER_ISOLATED"
NODE_ADDRESS = "10.90.0.1"
MOST_NODES = 2
# What container runtimes, kubelet and CNI write to, whatever they are configured to.
SCRATCH = ("/run", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods")
# The only settings a node changes that belong to no namespace.
SYSCTLS = ("vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops")

# What kubelets, container runtimes, CNI and kube-proxy do, tried before anything is started: many sandboxes give root without all of it.
NEEDED = {
    "the root is no mount point": "awk '$5 == \"/\" {found = 1} END {exit !found}' /proc/self/mountinfo",
    "the kernel's log cannot be read": ": < /dev/kmsg",
    "nothing can be mounted": "mount -t tmpfs tmpfs /run",
    "no overlay can be mounted": "mkdir lower upper work merged && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged",
    "no bridge or veth can be made": "ip link add cni0 type bridge && ip link add veth0 type veth peer name veth1",
    "no packet can be translated": "iptables -t nat -A POSTROUTING -m comment --comment probe -j MASQUERADE",
    "no setting can be changed": "sysctl -qw net.ipv4.ip_forward=1",
    "no cgroup can be made": "group=$(ls -d /sys/fs/cgroup/memory /sys/fs/cgroup | head -n 1)/stepdown-probe.$$ && mkdir $group && rmdir $group",
}


def reason_against():
    """Why no node can run here; empty: one can."""
    if os.geteuid() != 0:
        return "a kubelet needs root"
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        return f"the kernel refuses namespaces: {probe.stderr.strip()}"
    if not pathlib.Path("/sys/fs/cgroup/memory").is_dir() and not pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "no cgroups are mounted"
    with tempfile.TemporaryDirectory() as folder:
        for reason, needed in NEEDED.items():
            done = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-ec", needed],
                                  cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                return " ".join(f"{reason}: {done.stderr}".split()).rstrip(":")
    return ""


def enter():
    """Runs this very program again inside the namespaces, once; returns there."""
    if os.environ.get(MARK):
        furnish()
        return
    # As tests/run's limit sends it: all is put back then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    saved = {key: sysctl_file(key).read_text() for key in SYSCTLS}
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv]
    try:
        status = subprocess.run(command, env={**os.environ, MARK: str(os.getpid())}, check=False).returncode
    finally:
        for key, value in saved.items():
            sysctl_file(key).write_text(value)
        remove_cgroups()
        if not os.environ.get("STEPDOWN_KEEP"):
            for folder in pathlib.Path(tempfile.gettempdir()).glob(f"{folder_prefix(os.getpid())}*"):
                shutil.rmtree(folder, ignore_errors=True)  # of a cluster that was killed
    sys.exit(status if status >= 0 else 128 - status)


def folder_prefix(pid):
    return f"stepdown-cluster-{pid}-"


def furnish():
    """A loopback, an interface that stands for the machine's, and empty folders where nodes write."""
    for command in (
        "ip link set lo up",
        "ip link add node0 type veth peer name uplink",  # the other end leads nowhere
        "ip link set uplink up",
        *(f"ip address add {node_address(number)}/24 dev node0" for number in range(1, MOST_NODES + 1)),
        "ip link set node0 up",
        f"ip route add default via {NODE_ADDRESS}",
        "sysctl -qw net.ipv4.ip_forward=1",
    ):
        subprocess.run(command.split(), check=True)
    for path in SCRATCH:
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=True)


def node_address(number):
    return NODE_ADDRESS.rsplit(".", 1)[0] + f".{number}"


def write_once(path, text):
    """What nodes share."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(text, indent=1))


def cgroup_of(number):
    """The cgroup of a node's pods, below the root of each hierarchy."""
    return f"stepdown-{os.environ[MARK]}.{number}"


def cgroups(pattern):
    """Folders of that name in each hierarchy, deepest first."""
    tops = (pathlib.Path("/sys/fs/cgroup"), *pathlib.Path("/sys/fs/cgroup").glob("*"))
    roots = [root for top in tops for root in top.glob(pattern) if root.is_dir()]
    found = {path for root in roots for path in (root, *root.rglob("*")) if path.is_dir()}
    return sorted(found, key=lambda path: len(path.parts), reverse=True)


def kill_cgroup(name):
    for path in cgroups(name):
        procs = path / "cgroup.procs"  # which a folder that is no hierarchy's lacks
        for pid in procs.read_text().split() if procs.exists() else []:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass


def remove_cgroups():
    for path in cgroups(f"stepdown-{os.getpid()}.*"):
        remove_cgroup(path)


def remove_cgroup(path):
    """The kernel lets go of a process a moment after its parent heard of its end."""
    for _ in range(100):
        try:
            path.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.05)
    path.rmdir()


def sysctl_file(key):
    return pathlib.Path("/proc/sys") / key.replace(".", "/")
