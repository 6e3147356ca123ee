"""The held-out set is apart from training, the PDFs say what the dataset says, and the schema is one."""

import json
import tempfile
import unittest
from pathlib import Path

from harbor import batch, generate, incidents, phrases
from harbor import schema as json_schema

HERE = batch.HERE


class DataTest(unittest.TestCase):
    def test_held_out_words_are_known_and_frames_and_reports_are_new(self):
        self.assertEqual(generate.check(), [])

    def test_committed_dataset_is_what_the_generator_writes(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "heldout.jsonl"
            generate.write_dataset(path, 200, generate.HELD_OUT_SEED)
            self.assertEqual(path.read_text(), (HERE / "data" / "heldout.jsonl").read_text())

    def test_pdfs_say_what_the_dataset_says(self):
        with tempfile.TemporaryDirectory() as folder:
            generate.write_pdfs(Path(folder), 20, generate.HELD_OUT_SEED)
            for one in generate.held_out(20):
                self.assertEqual(batch.extract(Path(folder) / f"{one.id}.pdf"), one.text)

    def test_every_expected_answer_fits_the_schema(self):
        schema = json.loads((HERE / "schema.json").read_text())
        for one in generate.held_out(500):
            self.assertIsNone(json_schema.violation(one.answer, schema), one.id)

    def test_schema_names_every_cause_and_severity(self):
        properties = json.loads((HERE / "schema.json").read_text())["properties"]
        self.assertEqual(properties["root_cause"]["enum"], list(phrases.CAUSES))
        self.assertEqual(properties["severity"]["enum"], list(phrases.SEVERITIES))

    def test_faulty_answers_are_told(self):
        schema = json.loads((HERE / "schema.json").read_text())
        good = next(iter(generate.held_out(1))).answer
        for fault, change in {
            "not JSON": None,
            "/severity": {"severity": "mild"},
            "/recommendations has 2": {"recommendations": ["a", "b"]},
            "/recommendations/1 has": {"recommendations": ["a", "b" * 99, "c"]},
            "/extra is not allowed": {"extra": "x"},
        }.items():
            text = "{" if change is None else incidents.answer_json({**good, **change})
            self.assertIn(fault, json_schema.text_violation(text, schema) or "", fault)


if __name__ == "__main__":
    unittest.main()
