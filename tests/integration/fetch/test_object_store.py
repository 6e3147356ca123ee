"""s3:// against moto, which verifies signatures once it is told to."""

import os
import unittest

import boto3

from store import ObjectStore
from tools import MODEL, FetchTest, artifact_digest, serving, some_bytes

SECRET = "SECRETKEYSECRETKEY"


class TestObjectStore(FetchTest):
    @classmethod
    def setUpClass(cls):
        cls.store = ObjectStore()
        cls.addClassCleanup(cls.store.close)
        cls.endpoint, cls.keys = cls.store.endpoint, cls.store.keys
        s3 = cls.store.s3
        s3.create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        for name, data in MODEL.items():
            s3.put_object(Bucket="models", Key="llama/fp16/" + name, Body=data, ChecksumAlgorithm="SHA256")
        s3.put_object(Bucket="models", Key="llama/fp16/", Body=b"")
        s3.put_object(Bucket="models", Key="llama/fp16-other/config.json", Body=b"other")
        cls.odd = "odd/a b+ü&c=d.txt"
        s3.put_object(Bucket="models", Key=cls.odd, Body=b"odd")
        cls.weights = some_bytes(12 << 20, 3)
        transfer = boto3.s3.transfer.TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
        (path := f"/tmp/stepdown-s3-{os.getpid()}")
        with open(path, "wb") as out:
            out.write(cls.weights)
        s3.upload_file(path, "models", "gguf/model.gguf", Config=transfer)
        os.unlink(path)
        for count in range(1005):  # more than one page
            s3.put_object(Bucket="models", Key=f"many/{count:04}.txt", Body=b"x")
        cls.s3 = s3
        cls.store.lock()

    def source(self, path):
        return f"s3://{path}?endpoint={self.endpoint}"

    def test_a_prefix(self):
        report = self.fetch(self.source("models/llama/fp16"), "--digest", artifact_digest(MODEL), credentials=self.keys)
        self.assert_model(MODEL)
        self.assertEqual(report["files"], 3)

    def test_one_object_that_came_in_parts(self):
        report = self.fetch(self.source("models/gguf/model.gguf"), "--digest", artifact_digest({"model.gguf": self.weights}), credentials=self.keys)
        self.assert_model({"model.gguf": self.weights})
        self.assertEqual(report["path"], str(self.out / "model.gguf"))

    def test_keys_with_every_character(self):
        self.fetch(self.source("models/odd"), credentials=self.keys)
        self.assert_model({self.odd.removeprefix("odd/"): b"odd"})

    def test_more_than_one_page(self):
        listed = self.fetch(self.source("models/many"), "--resolve", credentials=self.keys)
        self.assertEqual(listed["files"], 1005)

    def test_from_the_environment(self):
        self.environment |= {**self.keys, "AWS_ENDPOINT_URL": self.endpoint}
        self.fetch("s3://models/llama/fp16")
        self.assert_model(MODEL)

    def test_wrong_keys_are_one_clear_error(self):
        error = self.fetch(self.source("models/llama/fp16"), status=2, credentials={**self.keys, "AWS_SECRET_ACCESS_KEY": SECRET})
        self.assertIn("SignatureDoesNotMatch", error)
        self.assertIn("check the keys", error)
        self.assert_nothing()

    def test_no_keys_where_keys_are_wanted(self):
        denied = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        with serving(lambda *_: (403, {}, denied)) as store:
            error = self.fetch(f"s3://models/llama?endpoint=http://{store.host}", status=2)
            self.assertIn("AccessDenied", error)
            self.assertIn("secretRef", error)

    def test_an_object_that_changes_while_it_is_fetched(self):
        with serving(lambda request, _: (200, {"ETag": '"1"'}, b"x" * 10) if request.command == "HEAD" else (412, {}, b"")) as store:
            self.assertIn("changed while", self.fetch(f"s3://models/llama.gguf?endpoint=http://{store.host}", status=1))
            self.assertEqual(store.requests[-1][2]["If-Match"], '"1"')

    def test_what_is_not_there(self):
        self.assertIn("no object lies there", self.fetch(self.source("models/none"), status=2, credentials=self.keys))
        self.assertIn("NoSuchBucket", self.fetch(self.source("nobucket/x"), status=2, credentials=self.keys))


if __name__ == "__main__":
    unittest.main()
