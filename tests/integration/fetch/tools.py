"""What the tests of `stepdown-engine fetch` share: running it, a server that misbehaves on purpose, and small models."""

import contextlib
import hashlib
import http.server
import io
import json
import os
import pathlib
import random
import shutil
import socket
import ssl
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest

BIN = pathlib.Path(os.environ["STEPDOWN_BIN"])
ADDRESS = os.environ.get("STEPDOWN_SERVERS_ADDRESS", "127.0.0.1")  # of the servers: pods reach no loopback but their own
SECRETS = ("hunter2secret", "SECRETKEYSECRETKEY", "hf_secrettoken")


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def artifact_digest(files):
    """As ARCHITECTURE.md says: of one GGUF file its own, otherwise over lines as sha256sum writes them."""
    if len(files) == 1 and next(iter(files)).endswith(".gguf"):
        return sha256(next(iter(files.values())))
    lines = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    return sha256(lines.encode())


def some_bytes(size, seed=1):
    return random.Random(seed).randbytes(size)


MODEL = {"config.json": b'{"model_type": "llama"}\n', "model.safetensors": some_bytes(3_000_000), "tokenizer/tokenizer.json": b"{}" * 400}


def tar_of(files, compressed=False, links=(), prefix=""):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if compressed else "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(prefix + name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        for name, target in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return out.getvalue()


def free_port():
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


class FetchTest(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="stepdown-fetch-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.out = self.dir / "cache" / "model"
        self.out.parent.mkdir()
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.dir)}

    def command(self, source, *more, out=None):
        return [BIN / "stepdown-engine", "fetch", "--source", source, "--out", out or self.out,
                "--termination-log", self.dir / "termination-log", *more]

    def fetch(self, source, *more, out=None, status=0, credentials=None):
        if credentials is not None:
            more = (*more, "--credentials", self.secret(credentials))
        done = subprocess.run(self.command(source, *more, out=out), capture_output=True, text=True, timeout=120, env=self.environment, check=False)
        everything = done.stdout + done.stderr + (self.dir / "termination-log").read_text()
        for secret in SECRETS:
            self.assertNotIn(secret, everything)
        self.assertEqual(done.returncode, status, done.stderr)
        return json.loads(done.stdout) if status == 0 else done.stderr.strip().splitlines()[-1]

    def secret(self, values):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="secret-", dir=self.dir))
        for name, value in values.items():
            (folder / name).write_text(value)
        return folder

    def assert_model(self, files, out=None):
        """Exactly these files, whole, and nothing else beside the receipt; nothing left of the work either."""
        out = out or self.out
        found = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != ".fetched.json"}
        self.assertEqual(sorted(found), sorted(files))
        self.assertEqual(found, dict(files))
        self.assertEqual([path.name for path in out.parent.iterdir() if path.name.startswith(".")], [])

    def assert_nothing(self):
        self.assertFalse(self.out.exists())


class BadServer:
    """An HTTP server whose answers are functions: handle(request) gives (status, headers, body), and a plan of faults may
    change them: status codes that come first, bodies that break off, a rate, a certificate."""

    def __init__(self, handle, tls=None):
        self.handle = handle
        self.requests = []  # (method, path, headers)
        self.fail_first = []  # (status, headers) or "hangup", used up one a request that `faulty` chooses
        self.faulty = lambda path: True
        self.break_off_after = None  # bytes of each body
        self.bytes_per_second = None
        self.sent = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else b""
                server.answer(self, body)

            do_POST = do_HEAD = do_GET

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server((ADDRESS, 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.host = f"{ADDRESS}:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request, body):
        self.requests.append((request.command, request.path, dict(request.headers)))
        if self.fail_first and self.faulty(request.path):
            fault = self.fail_first.pop(0)
            if fault == "hangup":
                request.close_connection = True
                request.connection.close()
                return
            status, headers = fault
            data = b"not now"
        else:
            status, headers, data = self.handle(request, body)
        chosen = request.headers.get("Range")
        if status == 200 and chosen and headers.get("Accept-Ranges") != "none":
            first = int(chosen.removeprefix("bytes=").rstrip("-"))
            if first >= len(data):
                status, data = 416, b""
            else:
                headers = {**headers, "Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}
                status, data = 206, data[first:]
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if "Content-Length" not in headers:
            request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if request.command == "HEAD":
            return
        whole = len(data)
        if self.break_off_after is not None and status in (200, 206):
            data = data[:self.break_off_after]
        step = 64 << 10 if not self.bytes_per_second else max(1, self.bytes_per_second // 20)
        for at in range(0, len(data), step):
            request.wfile.write(data[at:at + step])
            self.sent += len(data[at:at + step])
            if self.bytes_per_second and whole > 100_000:
                time.sleep(0.05)
        if len(data) < whole:
            request.close_connection = True


@contextlib.contextmanager
def serving(handle, tls=None):
    server = BadServer(handle, tls)
    try:
        yield server
    finally:
        server.close()


def authority(folder, name="127.0.0.1"):
    """A certificate that signs itself, for `name`."""
    kind = "IP" if name[0].isdigit() else "DNS"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context, folder / "cert.pem"


# --- a registry in a few lines, for faults; what a real one does is tested on a real one ---

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def layer(data, media_type="application/vnd.cncf.model.weight.v1.raw", **annotations):
    out = {"mediaType": media_type, "digest": sha256(data), "size": len(data)}
    if annotations:
        out["annotations"] = annotations
    return out


def manifest(layers, config="application/vnd.cncf.model.config.v1+json"):
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.cncf.model.manifest.v1+json",
                       "config": {"mediaType": config, "digest": sha256(b"{}"), "size": 2}, "layers": layers}).encode()


def model_manifest(files):
    return manifest([layer(data, **{"org.cncf.model.filepath": name}) for name, data in files.items()])


def registry_of(files, tag="v1"):
    """handle() of a registry that has one repository org/model."""
    document = model_manifest(files)
    blobs = {sha256(data): data for data in files.values()}

    def handle(request, _):
        last = request.path.rsplit("/", 1)[1]
        if "/manifests/" in request.path and last in (tag, sha256(document)):
            return 200, {"Content-Type": MANIFEST, "Docker-Content-Digest": sha256(document)}, document
        if "/blobs/" in request.path and last in blobs:
            return 200, {"Content-Type": "application/octet-stream"}, blobs[last]
        return 404, {}, b'{"errors": [{"code": "NOT_FOUND"}]}'

    return handle
