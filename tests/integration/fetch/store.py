"""moto's S3, which verifies signatures once it is locked."""

import os
import subprocess
import sys
import time
import urllib.request

import boto3
import botocore.config

from tools import ADDRESS, free_port

REGION = "eu-west-1"


class ObjectStore:
    """One bucket, `models`, and the keys of a user who may read it."""

    def __init__(self):
        self.endpoint = f"http://{ADDRESS}:{(port := free_port())}"
        self.server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", ADDRESS, "-p", str(port)], env={**os.environ},
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                urllib.request.urlopen(self.endpoint + "/moto-api/data.json", timeout=2)
                break
            except OSError:
                time.sleep(0.1)
        given = {"endpoint_url": self.endpoint, "region_name": REGION, "aws_access_key_id": "x", "aws_secret_access_key": "y"}
        iam = boto3.client("iam", **given)
        iam.create_user(UserName="reader")
        iam.put_user_policy(UserName="reader", PolicyName="all",
                            PolicyDocument='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}')
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        self.keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"], "AWS_REGION": REGION}
        self.s3 = boto3.client("s3", config=botocore.config.Config(s3={"addressing_style": "path"}), **given)

    def lock(self):
        """From here on moto checks who asks, and each signature."""
        urllib.request.urlopen(urllib.request.Request(self.endpoint + "/moto-api/reset-auth", data=b"0", method="POST",
                                                      headers={"Content-Type": "text/plain"}), timeout=10)

    def close(self):
        self.server.kill()
        self.server.wait()
