"""hf:// against a Hub by its published API, which the huggingface_hub client takes for the real one."""

import os
import subprocess
import sys
import unittest

from hub import COMMITS, TOKEN, hub_of
from tools import MODEL, FetchTest, artifact_digest, serving, sha256, some_bytes

EXTRA = {"README.md": b"# readme", "pytorch_model.bin": b"pickle" * 10, "onnx/model.onnx": b"o", "original/consolidated.00.pth": b"p", ".gitattributes": b"x",
         "original/params.json": b"{}"}
FLAT = {"config.json": MODEL["config.json"], "model.safetensors": MODEL["model.safetensors"], "tokenizer.json": b"{}", "special_tokens_map.json": b"{ }",
        "chat_template.jinja": b"{{ messages }}"}
NEWER = {**FLAT, "config.json": b'{"model_type": "qwen3"}'}
GGUF = {"tiny-Q8_0.gguf": some_bytes(300_000, 7), "tiny-Q4_K_M.gguf": some_bytes(200_000, 8)}
REPOSITORIES = {
    "models/org/tiny": {"files": {"main": {**FLAT, **EXTRA}, "v2": {**NEWER, **EXTRA}}},
    "models/org/tiny-gguf": {"files": {"main": GGUF}},
    "models/org/gated": {"files": {"main": FLAT}, "gated": True},
    "datasets/org/prompts": {"files": {"main": {"README.md": b"r", "data/heldout.jsonl": b'{"prompt": "x"}\n'}}},
}


class TestHub(FetchTest):
    def setUp(self):
        super().setUp()
        store = self.enterContext(serving(self.blob)) if hasattr(self, "enterContext") else self.start(self.blob)
        self.store = store
        self.hub = self.start(hub_of(REPOSITORIES, lambda: store.host, page=4))

    def start(self, handle):
        context = serving(handle)
        server = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return server

    @staticmethod
    def blob(request, _):
        if "Authorization" in request.headers:
            return 400, {}, b"Only one auth mechanism allowed"
        wanted = request.path.split("/")[-1].split("?")[0]
        for repository in REPOSITORIES.values():
            for files in repository["files"].values():
                for data in files.values():
                    if sha256(data) == wanted:
                        return 200, {"Accept-Ranges": "bytes"}, data
        return 404, {}, b""

    def source(self, path):
        return f"hf://{path}?endpoint=http://{self.hub.host}"

    def test_what_a_model_needs_pinned_to_a_commit(self):
        report = self.fetch(self.source("org/tiny"), "--digest", artifact_digest(FLAT))
        self.assert_model(FLAT)
        self.assertEqual(report["resolved"], f"hf://org/tiny@{COMMITS['main']}")
        asked = [path for _, path, _ in self.hub.requests if "/resolve/" in path]
        self.assertTrue(all(COMMITS["main"] in path for path in asked), asked)

    def test_the_client_of_the_hub_gets_the_same(self):
        code = ("import huggingface_hub, sys; print(huggingface_hub.snapshot_download('org/tiny', revision='v2', local_dir=sys.argv[1]), end='')")
        place = self.dir / "client"
        done = subprocess.run([sys.executable, "-c", code, place], capture_output=True, text=True, timeout=100, check=False,
                              env={**os.environ, "HF_ENDPOINT": f"http://{self.hub.host}", "HF_HOME": str(self.dir / "hf"), "HF_HUB_DISABLE_XET": "1"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.fetch(self.source("org/tiny@v2"))
        self.assert_model(NEWER)
        for name, data in NEWER.items():
            self.assertEqual((place / name).read_bytes(), data)

    def test_revisions(self):
        self.fetch(self.source("org/tiny@v2"), "--digest", artifact_digest(NEWER))
        by_option = self.dir / "cache" / "option"
        self.fetch(self.source("org/tiny"), "--revision", "v2", "--digest", artifact_digest(NEWER), out=by_option)
        self.assertIn("RevisionNotFound", self.fetch(self.source("org/tiny@v3"), out=self.dir / "x", status=2))

    def test_one_file_of_many(self):
        error = self.fetch(self.source("org/tiny-gguf"), status=2)
        self.assertIn("2 GGUF files", error)
        report = self.fetch(self.source("org/tiny-gguf/tiny-Q8_0.gguf"))
        self.assertTrue(report["path"].endswith("/tiny-Q8_0.gguf"))
        self.assert_model({"tiny-Q8_0.gguf": GGUF["tiny-Q8_0.gguf"]})

    def test_a_dataset(self):
        self.fetch(self.source("datasets/org/prompts/data/heldout.jsonl"))
        self.assert_model({"heldout.jsonl": b'{"prompt": "x"}\n'})

    def test_gated_repositories(self):
        error = self.fetch(self.source("org/gated"), status=2)
        self.assertIn("gated", error)
        self.assertIn("secretRef", error)
        self.assertIn("accept its terms", self.fetch(self.source("org/gated"), status=2, credentials={"HF_TOKEN": "hf_wrong"}))
        self.fetch(self.source("org/gated"), credentials={"HF_TOKEN": TOKEN + "\n"})
        self.assert_model(FLAT)
        self.assertFalse([headers for _, _, headers in self.store.requests if "Authorization" in headers])

    def test_a_repository_that_is_not_there(self):
        self.assertIn("does not exist", self.fetch(self.source("org/nothing"), status=2))


if __name__ == "__main__":
    unittest.main()
