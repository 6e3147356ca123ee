"""Kills, storms, lies, broken connections: what came is kept, what is wrong is never published."""

import signal
import subprocess
import time
import unittest

from tools import MODEL, FetchTest, artifact_digest, authority, model_manifest, registry_of, serving, sha256, some_bytes

BIG = {"config.json": b"{}", "model.safetensors": some_bytes(8_000_000, 11)}
SIZE = len(BIG["model.safetensors"])


def blob_of(data):
    return "/blobs/" + sha256(data)


class TestBadDays(FetchTest):
    def start(self, handle, tls=None):
        context = serving(handle, tls)
        server = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return server

    def source(self, server, tag="v1"):
        return f"oci+http://{server.host}/org/model:{tag}"

    def kept(self):
        return sum(path.stat().st_size for path in self.out.parent.glob(".partial-*/**/*") if path.is_file())

    def test_killed_in_the_middle_it_goes_on(self):
        server = self.start(registry_of(BIG))
        server.bytes_per_second = 4_000_000
        for _ in range(2):  # twice, in one file
            process = subprocess.Popen(self.command(self.source(server)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=self.environment)
            before, end = self.kept(), time.monotonic() + 20
            while self.kept() < before + 1_500_000 and time.monotonic() < end:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.assert_nothing()
        kept = self.kept()
        self.assertGreater(kept, 2_500_000)
        server.bytes_per_second = None
        report = self.fetch(self.source(server), "--digest", artifact_digest(BIG))
        self.assert_model(BIG)
        self.assertGreater(report["kept"], 2_500_000)
        self.assertEqual(report["kept"] + report["fetched"], sum(map(len, BIG.values())))

    def test_a_tag_that_moves_between_two_runs(self):
        """The fetch that was killed goes on with what it began; the other model is another fetch."""
        first, second = registry_of(BIG), registry_of(MODEL)
        moved = False

        def handle(request, body):
            answer = first(request, body)
            if moved and request.path.endswith("/manifests/v1"):
                return second(request, body)
            return answer if answer[0] == 200 else second(request, body)

        server = self.start(handle)
        server.bytes_per_second = 4_000_000
        process = subprocess.Popen(self.command(self.source(server)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=self.environment)
        while self.kept() < 1_000_000:
            time.sleep(0.02)
        process.kill()
        process.wait()
        server.bytes_per_second, moved = None, True
        self.fetch(self.source(server))
        self.assert_model(BIG)
        self.fetch(self.source(server), out=self.dir / "cache" / "later")
        self.assert_model(MODEL, self.dir / "cache" / "later")

    def test_a_storm_of_429_and_5xx(self):
        server = self.start(registry_of(MODEL))
        server.fail_first = [(429, {"Retry-After": "1"}), (503, {}), "hangup", (500, {}), (502, {})]
        started = time.monotonic()
        self.fetch(self.source(server))
        self.assert_model(MODEL)
        self.assertGreater(time.monotonic() - started, 1.0, "Retry-After is honoured")

    def test_a_storm_that_does_not_end(self):
        server = self.start(registry_of(MODEL))
        server.fail_first = [(503, {})] * 1000
        error = self.fetch(self.source(server), "--tries", "3", status=1)
        self.assertIn("HTTP 503", error)
        self.assertIn("run again later", error)
        self.assertEqual(len(server.requests), 3)
        server.fail_first = [(429, {"Retry-After": "86400"})]
        self.assertIn("HTTP 429", self.fetch(self.source(server), status=1))

    def test_bodies_that_break_off(self):
        server = self.start(registry_of(BIG))
        server.break_off_after = 3_000_000
        report = self.fetch(self.source(server))
        self.assert_model(BIG)
        self.assertEqual(report["fetched"], sum(map(len, BIG.values())), "nothing came twice")

    def test_a_server_without_ranges(self):
        inner = registry_of(BIG)

        def handle(request, body):
            status, headers, data = inner(request, body)
            return status, {**headers, "Accept-Ranges": "none"}, data

        server = self.start(handle)
        process = subprocess.Popen(self.command(self.source(server)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=self.environment)
        server.bytes_per_second = 4_000_000
        end = time.monotonic() + 10
        while self.kept() < 500_000 and not self.out.exists() and time.monotonic() < end:
            time.sleep(0.01)
        process.kill()
        process.wait()
        server.bytes_per_second = None
        self.fetch(self.source(server))
        self.assert_model(BIG)

    def test_bytes_that_are_not_what_the_digest_says(self):
        inner = registry_of(BIG)
        wrong = some_bytes(SIZE, 12)

        def handle(request, body):
            status, headers, data = inner(request, body)
            return status, headers, wrong if len(data) == SIZE else data

        error = self.fetch(self.source(self.start(handle)), status=2)
        self.assertIn("has not the sha256", error)
        self.assert_nothing()

    def test_a_part_that_a_lost_machine_left_broken(self):
        server = self.start(registry_of(BIG))
        server.bytes_per_second = 4_000_000
        process = subprocess.Popen(self.command(self.source(server)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=self.environment)
        while self.kept() < 1_000_000:
            time.sleep(0.02)
        process.kill()
        process.wait()
        server.bytes_per_second = None
        part = max(self.out.parent.glob(".partial-*/parts/*"), key=lambda path: path.stat().st_size)
        part.write_bytes(bytes(part.stat().st_size))
        report = self.fetch(self.source(server))
        self.assert_model(BIG)
        self.assertEqual(report["kept"], 0 if report["fetched"] == sum(map(len, BIG.values())) else len(BIG["config.json"]))

    def test_a_manifest_that_was_changed_on_the_way(self):
        document = model_manifest(MODEL)

        def handle(request, _):
            return 200, {"Docker-Content-Digest": sha256(document)}, document.replace(b"model.safetensors", b"modeI.safetensors")

        error = self.fetch(self.source(self.start(handle)), status=2)
        self.assertIn("digest", error)

    def test_more_bytes_than_were_promised_and_answers_without_end(self):
        def longer(request, body):
            status, headers, data = registry_of(BIG)(request, body)
            return status, headers, data + b"more" if len(data) == SIZE else data

        self.assertIn("another size", self.fetch(self.source(self.start(longer)), "--tries", "2", status=1))
        self.assertIn("bytes", self.fetch(self.source(self.start(lambda *_: (200, {}, b" " * (5 << 20)))), status=1))
        headers = {f"X-{count}": "x" for count in range(300)}
        self.assertIn("200 headers", self.fetch(self.source(self.start(lambda *_: (200, headers, b"{}"))), status=1))
        self.assert_nothing()

    def test_redirects_to_another_host_carry_no_credentials(self):
        store = self.start(lambda request, _: (200, {}, next(data for data in BIG.values() if request.path.endswith(sha256(data)))))
        inner = registry_of(BIG)

        def handle(request, body):
            if request.headers.get("Authorization") != "Basic cHVsbGVyOmh1bnRlcjJzZWNyZXQ=":
                return 401, {"WWW-Authenticate": 'Basic realm="x"'}, b""
            if "/blobs/" in request.path:
                return 307, {"Location": f"http://{store.host}{request.path}"}, b""
            return inner(request, body)

        self.fetch(self.source(self.start(handle)), credentials={"username": "puller", "password": "hunter2secret"})
        self.assert_model(BIG)
        self.assertEqual(len(store.requests), 2)
        self.assertFalse([headers for _, _, headers in store.requests if "Authorization" in headers])

    def test_tokens_of_a_realm_and_one_that_runs_out(self):
        issued = []

        def realm(request, _):
            if request.headers.get("Authorization") != "Basic cHVsbGVyOmh1bnRlcjJzZWNyZXQ=":
                return 401, {}, b""
            issued.append(request.path)
            return 200, {"Content-Type": "application/json"}, b'{"token": "token%d"}' % len(issued)

        tokens = self.start(realm)
        inner, used = registry_of(BIG), []

        def handle(request, body):
            wanted = f"Bearer token{len(issued)}" if issued else None
            stale = "/blobs/" in request.path and len(issued) == 1
            if stale or wanted is None or request.headers.get("Authorization") != wanted:
                return 401, {"WWW-Authenticate": f'Bearer realm="http://{tokens.host}/token",service="registry",scope="repository:org/model:pull"'}, b""
            used.append(request.path)
            return inner(request, body)

        login = {"username": "puller", "password": "hunter2secret"}
        self.fetch(self.source(self.start(handle)), "--parallel", "1", credentials=login)
        self.assert_model(BIG)
        self.assertEqual(issued, ["/token?service=registry&scope=repository%3Aorg%2Fmodel%3Apull"] * 2)

    def test_certificates(self):
        context, certificate = authority(self.dir)
        server = self.start(registry_of(MODEL), context)
        source = f"oci://{server.host}/org/model:v1"
        self.assertIn("not trusted", self.fetch(source, status=2))
        self.assert_nothing()
        self.fetch(source, "--ca-file", certificate)
        self.assert_model(MODEL)
        self.fetch(source, out=self.dir / "cache" / "secret", credentials={"ca.crt": certificate.read_text()})
        context, certificate = authority(self.dir, "registry.example")
        server = self.start(registry_of(MODEL), context)
        error = self.fetch(f"oci://{server.host}/org/model:v1", "--ca-file", certificate, out=self.dir / "other", status=2)
        self.assertIn("not for this host", error)

    def test_redirects_from_https_to_http_are_not_followed(self):
        context, certificate = authority(self.dir)
        plain = self.start(registry_of(MODEL))
        server = self.start(lambda request, _: (302, {"Location": f"http://{plain.host}{request.path}"}, b""), context)
        error = self.fetch(f"oci://{server.host}/org/model:v1", "--ca-file", certificate, status=1)
        self.assertIn("is not followed", error)
        self.assertEqual(plain.requests, [])

    def test_two_at_once_fetch_once(self):
        server = self.start(registry_of(BIG))
        server.bytes_per_second = 8_000_000
        both = [subprocess.Popen(self.command(self.source(server)), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=self.environment) for _ in range(2)]
        self.assertEqual([process.wait(60) for process in both], [0, 0])
        self.assert_model(BIG)
        self.assertEqual(len([path for _, path, _ in server.requests if blob_of(BIG["model.safetensors"]) in path]), 1)

    def test_an_empty_folder_is_no_model(self):
        """A kubelet makes one where a pod mounts what is not there yet."""
        self.out.mkdir()
        self.fetch(self.source(self.start(registry_of(MODEL))))
        self.assert_model(MODEL)

    def test_no_overwriting(self):
        self.out.mkdir()
        (self.out / "mine.txt").write_text("mine")
        self.assertIn("something else lies there", self.fetch(self.source(self.start(registry_of(MODEL))), status=2))
        self.assertEqual((self.out / "mine.txt").read_text(), "mine")


if __name__ == "__main__":
    unittest.main()
