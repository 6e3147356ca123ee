#!/usr/bin/env python3
"""An engine with OpenAI's API and no model: fake_engine.py PORT [healthy|nonfinite|looping|flaky|slow], where flaky loops when
the prompt asks it to break."""
import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = sys.argv[2] if len(sys.argv) > 2 else "healthy"


class Engine(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def log_message(self, *args):
        pass

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def do_GET(self):
        self.reply(200, {})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/embeddings":
            return self.reply(200, {"data": [{"embedding": [1.0]}], "mode": MODE, "asked": request["input"]})
        prompt = request["messages"][-1]["content"]
        if MODE == "nonfinite":
            return self.reply(500, {"error": {"type": "engine_error", "code": "nonfinite_logits", "message": "NaN"}})
        if MODE == "slow":
            time.sleep(0.05)
        loops = MODE == "looping" or (MODE == "flaky" and prompt.startswith("break"))
        text = "the pump " * 40 if loops else f"You asked about {prompt}; the pump ran dry."
        self.reply(200, {"id": "c", "object": "chat.completion", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "stepdown": {"mean_logprob": -0.2}})


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


Server(("0.0.0.0", int(sys.argv[1])), Engine).serve_forever()
