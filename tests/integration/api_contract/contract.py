#!/usr/bin/env python3
"""The API's contract: drives cases.json, in order, against an API server.

  contract.py record --kubeconfig FILE   writes golden.json from a real kube-apiserver (alone, without controllers)
  contract.py replay --kubeconfig FILE   compares any server with golden.json; exit 1 where they differ

Use an empty server; the cases create and leave objects named for this test. "show" limits what is compared.
"""
import argparse, base64, http.client, json, pathlib, re, ssl, subprocess, sys, tempfile, time, urllib.parse

HERE = pathlib.Path(__file__).parent
UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
VOLATILE = {"uid", "resourceVersion", "creationTimestamp", "time", "deletionTimestamp", "clusterIP", "lastTransitionTime",
            "controller-uid", "batch.kubernetes.io/controller-uid"}


class Client:
    def __init__(self, kubectl, kubeconfig):
        view = json.loads(subprocess.check_output(
            [kubectl, "config", "view", "--kubeconfig", kubeconfig, "--minify", "--raw", "--flatten", "-o", "json"]))
        cluster, user = view["clusters"][0]["cluster"], view["users"][0]["user"]
        self.context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pair.flush()
            self.context.load_cert_chain(pair.name)
        self.host = urllib.parse.urlparse(cluster["server"]).netloc

    def send(self, case):
        body = case.get("raw")
        if "file" in case:
            body = (HERE / case["file"]).read_text()
        elif "body" in case:
            body = json.dumps(case["body"])
        headers = {"Accept": case.get("accept", "application/json"), "Content-Type": case.get("type", "application/json"),
                   "User-Agent": "contract/1", **case.get("headers", {})}
        connection = http.client.HTTPSConnection(self.host, context=self.context, timeout=20)
        connection.request(case["method"], case["path"], body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = text
        return {"code": answer.status, "warnings": answer.headers.get_all("Warning") or [], "body": parsed}


def normalize(node, key=""):
    """Takes out what differs from run to run."""
    if isinstance(node, dict):
        return {k: (normalize(v, k) if k not in VOLATILE or not isinstance(v, str) else "<volatile>")
                for k, v in node.items() if not (k == "clusterIPs" or v is None)}
    if isinstance(node, list):
        items = [normalize(v) for v in node]
        if key == "managedFields":
            items.sort(key=lambda e: (e.get("operation"), e.get("manager"), e.get("subresource", "")))
        return items
    return UID.sub("<uid>", node) if isinstance(node, str) else node


def pick(answer, paths):
    out = {}
    for path in paths:
        node = answer["body"]
        for step in path.split("."):
            node = node[int(step)] if isinstance(node, list) else node.get(step) if isinstance(node, dict) else None
        out[path] = node
    return out


def drive(client, cases):
    for case in cases:
        answer = normalize(client.send(case))
        if "show" in case:
            answer = {"code": answer["code"], "shown": pick(answer, case["show"])}
        yield case["name"], answer
        time.sleep(case.get("settle", 0))


def differences(want, have, path=""):
    if isinstance(want, dict) and isinstance(have, dict):
        for key in sorted(want.keys() | have.keys()):
            if key not in have:
                yield f"{path}.{key}: missing, want {json.dumps(want[key])}"
            elif key not in want:
                yield f"{path}.{key}: unexpected {json.dumps(have[key])}"
            else:
                yield from differences(want[key], have[key], f"{path}.{key}")
    elif isinstance(want, list) and isinstance(have, list) and len(want) == len(have):
        for i, (a, b) in enumerate(zip(want, have)):
            yield from differences(a, b, f"{path}[{i}]")
    elif want != have:
        yield f"{path}:\n      want {json.dumps(want)}\n      have {json.dumps(have)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["record", "replay"])
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--kubectl", default="kubectl")
    parser.add_argument("--exact", action="store_true", help="tolerate none of differences.json: for the real server")
    options = parser.parse_args()
    cases = json.loads((HERE / "cases.json").read_text())
    client = Client(options.kubectl, options.kubeconfig)
    golden = HERE / "golden.json"
    if options.action == "record":
        lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(answer, sort_keys=True)}" for name, answer in drive(client, cases))
        golden.write_text("{\n" + lines + "\n}\n")
        print(f"recorded {len(cases)} cases to {golden}")
        return 0
    wanted = json.loads(golden.read_text())
    known = {} if options.exact else json.loads((HERE / "differences.json").read_text())
    failed = 0
    for name, answer in drive(client, cases):
        found = list(differences(wanted[name], answer))
        if found and name in known:
            print(f"known difference: {name}: {known[name]}")
        elif found:
            failed += 1
            print(f"FAILED: {name}")
            for line in found:
                print(f"    {line}")
        elif name in known:
            failed += 1
            print(f"FAILED: {name} agrees now: take it out of differences.json")
    print(f"{len(cases) - failed} of {len(cases)} cases as recorded")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
