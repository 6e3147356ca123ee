"""oci:// against Debian's docker-registry, with a login."""

import base64
import http.client
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

import bcrypt

from tools import ADDRESS, MODEL, FetchTest, artifact_digest, free_port, layer, manifest, model_manifest, sha256, some_bytes, tar_of

USER, PASSWORD = "puller", "hunter2secret"


class Registry:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="stepdown-registry-"))
        self.port = free_port()
        self.host = f"{ADDRESS}:{self.port}"
        (self.dir / "htpasswd").write_bytes(USER.encode() + b":" + bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)) + b"\n")
        (self.dir / "config.yml").write_text(json.dumps({
            "version": 0.1, "log": {"level": "error"}, "storage": {"filesystem": {"rootdirectory": str(self.dir / "data")}},
            "http": {"addr": self.host}, "auth": {"htpasswd": {"realm": "test", "path": str(self.dir / "htpasswd")}}}))
        self.process = subprocess.Popen(["docker-registry", "serve", self.dir / "config.yml"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                self.ask("GET", "/v2/")
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("docker-registry does not answer")

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir)

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.host, timeout=20)
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        connection.request(method, path, body, {"Authorization": f"Basic {login}", **{k.replace("_", "-"): v for k, v in headers.items()}})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def push_blob(self, repository, data):
        begun = self.ask("POST", f"/v2/{repository}/blobs/uploads/")
        place = begun.getheader("Location").split(self.host, 1)[-1]
        done = self.ask("PUT", f"{place}&digest={sha256(data)}", data, Content_Type="application/octet-stream")
        assert done.status == 201, done.status

    def push(self, repository, tag, document, blobs, media_type="application/vnd.oci.image.manifest.v1+json"):
        for data in [b"{}", *blobs]:
            self.push_blob(repository, data)
        done = self.ask("PUT", f"/v2/{repository}/manifests/{tag}", document, Content_Type=media_type)
        assert done.status == 201, (done.status, document)
        return sha256(document)


class TestRegistry(FetchTest):
    @classmethod
    def setUpClass(cls):
        cls.registry = Registry()
        cls.addClassCleanup(cls.registry.close)

    def source(self, name):
        return f"oci+http://{self.registry.host}/{name}"

    def login(self):
        return {"username": USER, "password": PASSWORD}

    def test_a_model_pack_by_tag_and_by_digest(self):
        digest = self.registry.push("org/pack", "v1", model_manifest(MODEL), MODEL.values())
        report = self.fetch(self.source("org/pack:v1"), "--digest", artifact_digest(MODEL), credentials=self.login())
        self.assert_model(MODEL)
        self.assertTrue(report["resolved"].endswith("@" + digest), report)
        self.assertEqual(report["fetched"], sum(map(len, MODEL.values())))
        again = self.fetch(self.source("org/pack:v1"), credentials=self.login())
        self.assertTrue(again["wasThere"] and again["fetched"] == 0, again)
        other = self.dir / "cache" / "by-digest"
        self.fetch(self.source(f"org/pack@{digest}"), out=other, credentials=self.login())
        self.assert_model(MODEL, other)
        listed = self.fetch(self.source("org/pack:v1"), "--resolve", credentials=self.login())
        self.assertEqual(listed["size"], sum(map(len, MODEL.values())))

    def test_logins_in_docker_config(self):
        self.registry.push("org/login", "v1", model_manifest(MODEL), MODEL.values())
        both = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        config = json.dumps({"auths": {"elsewhere.example": {"auth": "eDp5"}, f"http://{self.registry.host}": {"auth": both}}})
        self.fetch(self.source("org/login:v1"), credentials={".dockerconfigjson": config})
        self.assert_model(MODEL)

    def test_wrong_logins_are_one_clear_error(self):
        self.registry.push("org/closed", "v1", model_manifest(MODEL), MODEL.values())
        error = self.fetch(self.source("org/closed:v1"), status=2)
        self.assertIn("wants a login", error)
        self.assertIn("secretRef", error)
        error = self.fetch(self.source("org/closed:v1"), status=2, credentials={"username": USER, "password": "wrong"})
        self.assertIn("refuses the login", error)
        self.assertEqual((self.dir / "termination-log").read_text().strip(), error.removeprefix("stepdown-engine: "))
        self.assert_nothing()

    def test_what_is_not_there(self):
        self.registry.push("org/here", "v1", model_manifest(MODEL), MODEL.values())
        self.assertIn("check repository and tag", self.fetch(self.source("org/here:v2"), status=2, credentials=self.login()))
        self.assertIn("not a repository", self.fetch(self.source("Org/Here:v1"), status=2))

    def test_packed_layers(self):
        for name, compressed in (("tar", False), ("tar+gzip", True)):
            archive = tar_of(MODEL, compressed, prefix="./")
            self.registry.push("org/packed", name.replace("+", "-"), manifest([layer(archive, f"application/vnd.cncf.model.weight.v1.{name}")]), [archive])
            out = self.dir / "cache" / name
            self.fetch(self.source("org/packed:" + name.replace("+", "-")), "--digest", artifact_digest(MODEL), out=out, credentials=self.login())
            self.assert_model(MODEL, out)

    def test_an_artifact_as_oras_pushes_it(self):
        weights = some_bytes(200_000, 5)
        folder = tar_of({"vocab.txt": b"a\nb\n"}, True, prefix="tokenizer/")
        layers = [layer(weights, "application/vnd.oci.image.layer.v1.tar", **{"org.opencontainers.image.title": "model.gguf"}),
                  layer(folder, "application/vnd.oci.image.layer.v1.tar+gzip",
                        **{"org.opencontainers.image.title": "tokenizer", "io.deis.oras.content.unpack": "true"})]
        self.registry.push("org/oras", "v1", manifest(layers, config="application/vnd.oci.empty.v1+json"), [weights, folder])
        self.fetch(self.source("org/oras:v1"), credentials=self.login())
        self.assert_model({"model.gguf": weights, "tokenizer/vocab.txt": b"a\nb\n"})

    def test_a_container_image_as_kserve_packs_models(self):
        base = tar_of({"bin/busybox": b"ELF"}, True, links=[("bin/sh", "busybox")])
        model = tar_of({**MODEL, "old.txt": b"x"}, True, prefix="models/")
        removed = tar_of({"models/.wh.old.txt": b""}, True)
        kind = "application/vnd.oci.image.layer.v1.tar+gzip"
        document = manifest([layer(base, kind), layer(model, kind), layer(removed, kind)], config="application/vnd.oci.image.config.v1+json")
        digest = self.registry.push("org/car", "amd64", document, [base, model, removed])
        index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
            {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": len(document), "platform": {"architecture": "amd64", "os": "linux"}},
        ]}).encode()
        self.registry.push("org/car", "v1", index, [], "application/vnd.oci.image.index.v1+json")
        self.fetch(self.source("org/car:v1"), "--digest", artifact_digest(MODEL), credentials=self.login())
        self.assert_model(MODEL)

    def test_archives_that_lead_out_are_refused(self):
        kind = "application/vnd.cncf.model.weight.v1.tar"
        for name, archive, word in (("dots", tar_of({"../../evil": b"x"}), "leads out"), ("root", tar_of({"/etc/evil": b"x"}), "leads out"),
                                    ("link", tar_of({}, links=[("model", "/etc/passwd")]), "link"), ("none", b"no tar at all" * 100, "not a tar")):
            self.registry.push("org/evil", name, manifest([layer(archive, kind)]), [archive])
            error = self.fetch(self.source("org/evil:" + name), status=2, credentials=self.login())
            self.assertIn(word, error)
            self.assert_nothing()
        self.assertEqual([path.name for path in self.dir.parent.glob("evil")], [])

    def test_names_that_lead_out_are_refused(self):
        data = b"x" * 10
        for at, name in enumerate(("../evil", "/etc/evil", "a/../../evil", ".hidden/x")):
            document = manifest([layer(data, **{"org.opencontainers.image.title": name})])
            self.registry.push("org/names", f"v{at}", document, [data])
            self.assertIn("leads out", self.fetch(self.source(f"org/names:v{at}"), status=2, credentials=self.login()))

    def test_another_digest_than_was_pinned(self):
        self.registry.push("org/pinned", "v1", model_manifest(MODEL), MODEL.values())
        pinned = "sha256:" + "0" * 64
        error = self.fetch(self.source("org/pinned:v1"), "--digest", pinned, status=2, credentials=self.login())
        self.assertIn(artifact_digest(MODEL), error)
        self.assert_nothing()
        report = self.fetch(self.source("org/pinned:v1"), "--digest", artifact_digest(MODEL), credentials=self.login())
        self.assertEqual(report["fetched"], 0, "what came before is kept")


if __name__ == "__main__":
    unittest.main()
