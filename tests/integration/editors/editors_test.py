"""See run."""

import copy
import json
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import jsonschema
import sarif_pydantic
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
EXAMPLES = sorted(ROOT.glob("examples/*/quantizedmodel.yaml"))
BROKEN = """apiVersion: stepdown.dev/v1alpha1
kind: QuantizedModel
metadata: {name: broken}
spec:
  model:
    source: http://models/llama
  quantization:
    candidates:
    - {method: gguf, preset: Q4_K_M}
    - {method: gguf, preset: Q9}
  rollout:
    fallback:
      replicas: 0
"""


def stepdown(*arguments, text=None, cwd=ROOT):
    return subprocess.run(
        ["kubectl-stepdown", *map(str, arguments)], input=text, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


class Schema(unittest.TestCase):
    """kubectl stepdown schema, as yaml-language-server and VS Code take it."""

    @classmethod
    def setUpClass(cls):
        cls.schema = json.loads(stepdown("schema").stdout)
        jsonschema.Draft7Validator.check_schema(cls.schema)
        cls.validator = jsonschema.Draft7Validator(cls.schema)

    def faults(self, document):
        return ["/".join(map(str, error.absolute_path)) for error in self.validator.iter_errors(document)]

    def test_accepts_what_the_project_ships(self):
        self.assertGreaterEqual(len(EXAMPLES), 9)
        for path in EXAMPLES:
            for document in yaml.safe_load_all(path.read_text()):
                self.assertEqual(self.faults(document), [], path)
        for profile in yaml.safe_load_all((ROOT / "operator/compat/matrix.yaml").read_text()):
            self.assertEqual(self.faults(profile), [], profile["metadata"]["name"])

    def test_finds_what_an_api_server_would_refuse_or_drop(self):
        good = yaml.safe_load((ROOT / "examples/single-nvidia-gpu/quantizedmodel.yaml").read_text())
        def no_source(model): del model["spec"]["model"]["source"]
        def misspelt(model): model["spec"]["serving"]["contextlength"] = 8192
        def text_for_a_number(model): model["spec"]["serving"]["concurrency"] = "five"
        def unknown_cache(model): model["spec"]["kvCache"] = {"type": "fp4"}
        def too_far(model): model["spec"]["rollout"] = {"steps": [{"weight": 101}]}
        def unknown_version(model): model["apiVersion"] = "stepdown.dev/v1alpha1"; model["kind"] = "QuantRevision"
        for change, path in ((no_source, "spec/model"), (misspelt, "spec/serving"), (text_for_a_number, "spec/serving/concurrency"),
                             (unknown_cache, "spec/kvCache/type"), (too_far, "spec/rollout/steps/0/weight"), (unknown_version, "spec")):
            model = copy.deepcopy(good)
            change(model)
            self.assertIn(path, self.faults(model), change.__name__)

    def test_leaves_other_kinds_alone(self):
        self.assertEqual(self.faults({"apiVersion": "v1", "kind": "Service", "spec": {"ports": []}}), [])


class Findings(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "quantizedmodel.yaml").write_text(BROKEN)

    def found(self, output):
        done = stepdown("validate", "quantizedmodel.yaml", "--output", output, cwd=self.folder)
        self.assertEqual(done.returncode, 2, done.stderr)
        return done.stdout

    def test_sarif(self):
        log = sarif_pydantic.Sarif.model_validate_json(self.found("sarif"))
        self.assertEqual(log.version, "2.1.0")
        lines = {}
        for result in log.runs[0].results:
            place = result.locations[0].physical_location
            self.assertEqual(place.artifact_location.uri, "quantizedmodel.yaml")
            lines[result.rule_id] = place.region.start_line
        self.assertEqual({rule: lines[rule] for rule in ("SD001", "SD002", "SD004")}, {"SD001": 6, "SD002": 10, "SD004": 13})
        described = {rule.id for rule in log.runs[0].tool.driver.rules}
        self.assertLessEqual(set(lines), described)

    def test_a_file_that_cannot_be_read_is_a_finding_beside_the_others(self):
        (self.folder / "b, 100%.yaml").write_text("a: [\n")
        done = stepdown("validate", ".", "--output", "sarif", cwd=self.folder)
        self.assertEqual(done.returncode, 2, done.stderr)
        results = sarif_pydantic.Sarif.model_validate_json(done.stdout).runs[0].results
        places = {(each.rule_id, each.locations[0].physical_location.artifact_location.uri) for each in results}
        self.assertLessEqual({("SD066", "b%2C%20100%25.yaml"), ("SD001", "quantizedmodel.yaml")}, places)

    def test_github(self):
        self.assertIn("::error file=quantizedmodel.yaml,line=6,title=SD001::", self.found("github"))

    def test_json(self):
        found = {row["id"]: row for row in json.loads(self.found("json"))}
        self.assertEqual(found["SD004"]["line"], 13)
        self.assertEqual(found["SD004"]["path"], "spec.rollout.fallback.replicas")


class PreCommit(unittest.TestCase):
    """The hook of .pre-commit-hooks.yaml, run by pre-commit in a repository of someone else."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.hooks = self.repository("hooks", {".pre-commit-hooks.yaml": (ROOT / ".pre-commit-hooks.yaml").read_text()})

    def repository(self, name, files):
        folder = self.folder / name
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        git = ("git", "-c", "user.name=test", "-c", "user.email=test@example.com")
        for command in ((*git, "init", "-q"), (*git, "add", "."), (*git, "commit", "-q", "-m", "made")):
            subprocess.run(command, cwd=folder, check=True)
        return folder

    def run_hook(self, files):
        folder = self.repository(f"user{len(files)}{hash(str(files))}", files)
        return subprocess.run(["pre-commit", "try-repo", self.hooks, "stepdown-validate", "--all-files"], cwd=folder,
                              capture_output=True, text=True, timeout=120, check=False)

    def test_refuses_a_broken_manifest(self):
        done = self.run_hook({"deploy/quantizedmodel.yaml": BROKEN, "deploy/service.yaml": "kind: Service\n"})
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("SD004 error spec.rollout.fallback.replicas", done.stdout)

    def test_passes_a_good_one(self):
        good = (ROOT / "examples/single-nvidia-gpu/quantizedmodel.yaml").read_text()
        done = self.run_hook({"deploy/quantizedmodel.yaml": good})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
