"""Namespaces of the kernel that a whole cluster lives in.

A kubelet leaves bridges, firewall rules, mounts and containers behind when it is killed. In a network, mount and process
namespace of their own all of these vanish with the last process, however it ended, and nothing of the machine is touched.
"""

import os
import pathlib
import subprocess
import sys

MARK = "STEPDOWN_CLUSTER_ISOLATED"
NODE_ADDRESS = "10.90.0.1"
# What container runtimes, kubelet and CNI write to, whatever they are configured to.
SCRATCH = ("/run", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods")
# The only settings a node changes that belong to no namespace.
SYSCTLS = ("vm.overcommit_memory", "vm.panic_on_oom", "kernel.panic", "kernel.panic_on_oops")


def reason_against():
    """Why no node can run here; empty: one can."""
    if os.geteuid() != 0:
        return "a kubelet needs root"
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        return f"the kernel refuses namespaces: {probe.stderr.strip()}"
    if not pathlib.Path("/sys/fs/cgroup/memory").is_dir() and not pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "no cgroups are mounted"
    return ""


def enter():
    """Runs this very program again inside the namespaces, once; returns there."""
    if os.environ.get(MARK):
        furnish()
        return
    saved = {key: sysctl_file(key).read_text() for key in SYSCTLS}
    command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv]
    try:
        status = subprocess.run(command, env={**os.environ, MARK: str(os.getpid())}, check=False).returncode
    finally:
        for key, value in saved.items():
            sysctl_file(key).write_text(value)
        remove_cgroups()
    sys.exit(status if status >= 0 else 128 - status)


def furnish():
    """A loopback, an interface that stands for the machine's, and empty folders where nodes write."""
    for command in (
        "ip link set lo up",
        "ip link add node0 type veth peer name uplink",  # the other end leads nowhere
        "ip link set uplink up",
        f"ip address add {NODE_ADDRESS}/24 dev node0",
        "ip link set node0 up",
        f"ip route add default via {NODE_ADDRESS}",
        "sysctl -qw net.ipv4.ip_forward=1",
    ):
        subprocess.run(command.split(), check=True)
    for path in SCRATCH:
        os.makedirs(path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=True)


def cgroup_parent():
    """The cgroup of this cluster's pods, below the root of each hierarchy."""
    return f"stepdown-{os.environ[MARK]}"


def remove_cgroups():
    name = f"stepdown-{os.getpid()}"
    for top in (pathlib.Path("/sys/fs/cgroup"), *pathlib.Path("/sys/fs/cgroup").glob("*")):
        folders = [path for path in (top / name).rglob("*") if path.is_dir()] if (top / name).is_dir() else []
        for path in sorted(folders, key=lambda path: len(path.parts), reverse=True):
            path.rmdir()
        if (top / name).is_dir():
            (top / name).rmdir()


def sysctl_file(key):
    return pathlib.Path("/proc/sys") / key.replace(".", "/")
