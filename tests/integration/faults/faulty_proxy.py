"""A TLS proxy between the operator and an API server that breaks what a table of faults says.

It shows the API server's own certificate, so that the operator verifies as ever. Python's standard library alone.
"""
import http.client
import http.server
import json
import random
import socketserver
import ssl
import threading
import time


def written(command, path, body):
    """The path of the object that a write is about: a creation names it in its body."""
    name = json.loads(body).get("metadata", {}).get("name", "") if command == "POST" and body else ""
    return f"{path}/{name}" if name else path


class Faults:
    """What goes wrong, by kind; each count or share may be changed while the proxy runs."""

    def __init__(self, seed=1):
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.refuse = 0.0  # share of requests that get 429 (with Retry-After) or 500/503 without being carried out
        self.lose_answer = 0.0  # share of writes that are carried out and whose answer is lost
        self.cut_watch_after = 0  # a watch is cut, often in mid-line, after at most so many bytes; 0: never
        self.expire_watches = 0.0  # share of watches that begin with 410 Gone
        self.refused_writes = {}  # end of an object's path → (code, reason, message) for all writes to it, its creation too
        self.frozen_lists = {}  # path → list answered instead of the present one, while a stale server is played
        self.hang_watches = False  # watches begin and tell nothing, as from a server that lags behind
        self.after_write = None  # called with method, path and body of each write that was carried out; true: its answer is lost
        self.told = {}

    def happens(self, what, share):
        with self.lock:
            hit = self.random.random() < share
            if hit:
                self.told[what] = self.told.get(what, 0) + 1
            return hit


class Silence:
    """A watch on which nothing comes for as long as the fault stands."""

    def __init__(self, faults):
        self.faults = faults

    def read1(self, _):
        while self.faults.hang_watches:
            time.sleep(0.1)
        return b""


def status(code, reason, message):
    return json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: Faults
    upstream: tuple
    upstream_tls: ssl.SSLContext

    def log_message(self, *_):
        pass

    def answer(self, code, body, headers=()):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0) or 0))
        faults = self.faults
        if faults.happens("429", faults.refuse / 2):
            return self.answer(429, status(429, "TooManyRequests", "storm"), [("Retry-After", "1")])
        if faults.happens("5xx", faults.refuse / 2):
            code = faults.random.choice([500, 503])
            return self.answer(code, status(code, "InternalError", "storm"))
        path = self.path.split("?")[0]
        for end, refusal in list(faults.refused_writes.items()):
            if self.command in ("POST", "PUT", "PATCH") and written(self.command, path, body).endswith(end):
                faults.happens(f"{refusal[0]} for {end}", 1)
                return self.answer(refusal[0], status(*refusal))
        watching = "watch=" in self.path
        if watching and faults.happens("410", faults.expire_watches):
            return self.answer(410, status(410, "Expired", "too old resource version"))
        connection = http.client.HTTPSConnection(*self.upstream, context=self.upstream_tls, timeout=330)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "accept-encoding")}
        connection.request(self.command, self.path, body or None, headers)
        response = connection.getresponse()
        try:
            if watching and response.status == 200:
                self.stream(response)
                return None
            answer = response.read()
            if self.command != "GET" and response.status < 300 and faults.after_write and faults.after_write(self.command, path, body):
                self.close_connection = True
                return None
            if self.command != "GET" and faults.happens("lost answer", faults.lose_answer):
                self.close_connection = True  # carried out, but nobody hears
                return None
            if self.command == "GET" and path in faults.frozen_lists and "fieldSelector=metadata.name" not in self.path:
                answer = faults.frozen_lists[path]
            extra = [("Retry-After", response.getheader("Retry-After"))] if response.getheader("Retry-After") else []
            return self.answer(response.status, answer, extra)
        finally:
            connection.close()

    def stream(self, response):
        if self.faults.hang_watches:
            response = Silence(self.faults)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        most = self.faults.cut_watch_after
        left = self.faults.random.randint(1, most) if most else None
        while chunk := response.read1(16384):
            if left is not None:
                chunk = chunk[:left]
                left -= len(chunk)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()
            if left == 0:
                self.faults.happens("cut watch", 1)
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # broken connections are what this is for


class FaultyProxy:
    """Listens on 127.0.0.1; `certificate`, `key`: shown to clients; `client`: how it logs in upstream."""

    def __init__(self, upstream, certificate, key, upstream_tls):
        self.faults = Faults()
        handler = type("BoundHandler", (Handler,), {"faults": self.faults, "upstream": upstream, "upstream_tls": upstream_tls})
        self.server = Server(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
