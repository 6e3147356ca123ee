"""What a server holds in memory once every sequence has filled its context: VmHWM, in bytes."""
import http.client
import json
import pathlib
import re
import socket
import subprocess
import threading
import time


class Server:
    def __init__(self, command, port, log):
        self.port = port
        self.log = log
        self.process = subprocess.Popen(command, stdout=open(log, "w"), stderr=subprocess.STDOUT)

    def __enter__(self):
        end = time.monotonic() + 120
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"the server did not start: {pathlib.Path(self.log).read_text()[-1500:]}")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(60)

    def ready(self):
        try:
            return self.ask("GET", "/health" if "llama" in str(self.process.args[0]) else "/healthz")[0] == 200
        except OSError:
            return False

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def fill(self, context, sequences):
        """Different beginnings, so that no page of the cache is shared."""
        answers = [None] * sequences

        def one(sequence):
            prompt = [50 + (7 * sequence + 13 * at) % 1900 for at in range(context - 8)]
            answers[sequence] = self.ask("POST", "/v1/completions", {
                "model": "m", "prompt": prompt, "max_tokens": 4, "temperature": 0})

        threads = [threading.Thread(target=one, args=(i,)) for i in range(sequences)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        bad = [answer for answer in answers if answer is None or answer[0] != 200]
        assert not bad, bad[0]

    def memory(self):
        """What the bundled engine tells of itself, bytes."""
        text = self.ask("GET", "/metrics")[1]
        return {kind: int(float(re.search(rf"^stepdown_engine_memory_{kind}_bytes{{.*}} (\S+)$", text, re.MULTILINE)[1]))
                for kind in ("predicted", "peak")}

    def peak(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) << 10


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def stepdown(engine, model, context, sequences, kv_type, log):
    port = free_port()
    return Server([engine, "serve", "--model", model, "--served-model-name", "m", "--host", "127.0.0.1", "--port", str(port),
                   "--context", str(context), "--max-sequences", str(sequences), "--kv-type", kv_type], port, log)


def llama_server(program, model, context, sequences, kv_type, log):
    port = free_port()
    command = [program, "--model", model, "--alias", "m", "--host", "127.0.0.1", "--port", str(port),
               "--ctx-size", str(context * sequences), "--parallel", str(sequences), "--jinja"]
    if kv_type == "int8":
        command += ["--flash-attn", "on", "--cache-type-k", "q8_0", "--cache-type-v", "q8_0"]
    return Server(command, port, log)
