"""What NetworkPolicies let in, by their own words: the test cluster's bridge enforces none."""


def admits(policies, to, source, port):
    """Whether a pod reaches a port (by name) of another. `to`, `source`: {"namespace": …, "labels": {…}}; a namespace has its name as label."""
    chosen = [each for each in policies if each["metadata"].get("namespace", to["namespace"]) == to["namespace"]
              and "Ingress" in each["spec"]["policyTypes"] and matches(each["spec"]["podSelector"], to["labels"])]
    return not chosen or any(lets_in(rule, policy["metadata"].get("namespace", to["namespace"]), source, port)
                             for policy in chosen for rule in policy["spec"].get("ingress", []))


def limits_egress(policies):
    return any("Egress" in each["spec"]["policyTypes"] for each in policies)


def lets_in(rule, namespace, source, port):
    ports, peers = rule.get("ports"), rule.get("from")
    return (not ports or any(each["port"] == port for each in ports)) and (
        not peers or any(is_peer(each, namespace, source) for each in peers))


def is_peer(peer, namespace, source):
    assert peer.keys() <= {"podSelector", "namespaceSelector"}, f"not understood: {peer}"
    if "namespaceSelector" in peer:
        if not matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": source["namespace"]}):
            return False
    elif source["namespace"] != namespace:
        return False
    return matches(peer.get("podSelector", {}), source["labels"])


def matches(selector, labels):
    assert selector.keys() <= {"matchLabels"}, f"not understood: {selector}"
    return selector.get("matchLabels", {}).items() <= labels.items()
