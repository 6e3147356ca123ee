"""Programs that a cluster consists of: each with its log, ended in the order opposite to their start, and with this program
however it ends."""

import os
import pathlib
import signal
import socket
import subprocess
import time


class Processes:
    def __init__(self, logs):
        self.logs = pathlib.Path(logs)
        self.logs.mkdir(parents=True, exist_ok=True)
        self.running = {}

    def start(self, name, command, **options):
        with open(self.logs / f"{name}.log", "a") as log:
            self.running[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *(str(word) for word in command)], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, **options
            )
        return self.running[name]

    def pid(self, name):
        return self.running[name].pid

    def stop(self, name, with_signal=signal.SIGTERM, patience=20):
        process = self.running.pop(name, None)
        if process is None or process.poll() is not None:
            return
        process.send_signal(with_signal)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def stop_all(self):
        """Everything goes away with its data, so nothing needs to be drained."""
        for name in reversed(list(self.running)):
            self.stop(name, signal.SIGKILL)

    def wait_ready(self, name, check, seconds=60):
        end = time.monotonic() + seconds
        while not check():
            if self.running[name].poll() is not None:
                raise RuntimeError(f"{name} ended with {self.running[name].returncode}:\n{self.tail(name)}")
            if time.monotonic() > end:
                raise RuntimeError(f"{name} is not ready after {seconds} s:\n{self.tail(name)}")
            time.sleep(0.05)

    def tail(self, name, size=3000):
        return (self.logs / f"{name}.log").read_text(errors="replace")[-size:]


def free_ports(count):
    """Ports nobody listens on now; found together, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def resident_bytes(pid, peak=False):
    """VmRSS, or VmHWM with `peak`."""
    wanted = "VmHWM:" if peak else "VmRSS:"
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(wanted):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def own_address():
    """What an API server advertises; the loopback is not allowed. A machine without a network gets one for documentation."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            return probe.getsockname()[0]
        except OSError:
            return "192.0.2.1"
