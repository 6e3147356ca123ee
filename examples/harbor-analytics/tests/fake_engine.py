"""An OpenAI-shaped server that answers one fixed incident, slowly, and breaks every `break_every`-th connection;
or one that answers `garbage`."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = json.dumps({"severity": "low", "root_cause": "belt jam", "recommendations": ["a", "b", "c"]})


class FakeEngine(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, seconds: float = 0.0, break_every: int = 0, garbage: bytes = b""):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seconds, self.break_every, self.garbage = seconds, break_every, garbage
        self.requests: list[str] = []
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.requests.append(self.headers["x-request-id"])
            number = len(self.server.requests)
        time.sleep(self.server.seconds)
        if self.server.break_every and number % self.server.break_every == 0:
            self.close_connection = True
            return
        if request.get("stream"):
            choices = [{"delta": {"content": ANSWER}}, {"delta": {}, "finish_reason": "stop"}]
            chunks = [{"choices": [choice]} for choice in choices]
            body = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"
        else:
            message = {"role": "assistant", "content": ANSWER}
            body = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
        body = self.server.garbage or body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
