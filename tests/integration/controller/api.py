"""A few REST calls through `kubectl proxy`, so that any kubeconfig works."""
import json
import re
import subprocess
import time
import urllib.error
import urllib.request

PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "EngineProfile": "/apis/stepdown.dev/v1alpha1/engineprofiles",
    "Pod": "/api/v1/namespaces/{ns}/pods",
    "Service": "/api/v1/namespaces/{ns}/services",
    "ServiceAccount": "/api/v1/namespaces/{ns}/serviceaccounts",
    "PersistentVolumeClaim": "/api/v1/namespaces/{ns}/persistentvolumeclaims",
    "Deployment": "/apis/apps/v1/namespaces/{ns}/deployments",
    "Job": "/apis/batch/v1/namespaces/{ns}/jobs",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings",
    "Event": "/apis/events.k8s.io/v1/namespaces/{ns}/events",
    "QuantizedModel": "/apis/stepdown.dev/v1alpha1/namespaces/{ns}/quantizedmodels",
    "QuantRevision": "/apis/stepdown.dev/v1alpha1/namespaces/{ns}/quantrevisions",
}


class Api:
    def __init__(self, namespace):
        self.namespace = namespace
        self.proxy = subprocess.Popen(["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE, text=True)
        self.base = "http://" + re.search(r"[\d.]+:\d+", self.proxy.stdout.readline()).group()

    def close(self):
        self.proxy.terminate()
        self.proxy.wait()

    def call(self, method, path, body=None, content_type="application/json"):
        request = urllib.request.Request(self.base + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            answer = json.load(error)
            if error.code in (404, 409):
                return None
            raise RuntimeError(f"{method} {path}: {error.code} {answer.get('message')}") from None

    def path(self, kind, name="", sub=""):
        return PATHS[kind].format(ns=self.namespace) + (f"/{name}" if name else "") + (f"/{sub}" if sub else "")

    def list(self, kind):
        return self.call("GET", self.path(kind))["items"]

    def get(self, kind, name):
        return self.call("GET", self.path(kind, name))

    def create(self, kind, body):
        return self.call("POST", self.path(kind), body)

    def merge(self, kind, name, body, sub=""):
        return self.call("PATCH", self.path(kind, name, sub), body, "application/merge-patch+json")

    def apply_status(self, kind, name, body, manager):
        return self.call("PATCH", self.path(kind, name, "status") + f"?fieldManager={manager}&force=true", body,
                         "application/apply-patch+yaml")

    def delete(self, kind, name):
        return self.call("DELETE", self.path(kind, name))


def wait_for(what, condition, seconds=30, every=0.1):
    end = time.time() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.time() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(every)
