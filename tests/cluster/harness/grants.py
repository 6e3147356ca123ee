"""What an account asked of the API server, held against what RBAC grants it."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Grant:
    """One verb on one resource, as RBAC sees it. `name` is empty where the rule names no objects."""

    group: str
    resource: str
    verb: str
    name: str = ""

    def __str__(self):
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}{' ' + self.name if self.name else ''}"


def of_rules(rules):
    return {
        Grant(group, resource, verb, name)
        for rule in rules
        for group in rule.get("apiGroups", [])
        for resource in rule.get("resources", [])
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }


def used(events, user):
    """Grants that the user's requests needed. Apply (PATCH) of an object that was not there also needs create."""
    out = set()
    for event in events:
        reference = event.get("objectRef")
        if event["user"].get("username") != user or not reference:
            continue
        resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
        verbs = [event["verb"]] + (["create"] if event["verb"] == "patch" and event["responseStatus"].get("code") == 201 else [])
        out |= {Grant(reference.get("apiGroup", ""), resource, verb, reference.get("name", "")) for verb in verbs}
    return out


def refused(events, pattern):
    """Requests of users that match, which authorization forbade: one line each. A gateway of a model that was deleted serves on
    for some seconds after its Role went with the model: what it asks for then is no fault."""
    deleted = {
        f"{event['objectRef'].get('namespace')}:{event['objectRef'].get('name')}-gateway": event["requestReceivedTimestamp"]
        for event in events
        if event["verb"] == "delete" and (event.get("objectRef") or {}).get("resource") == "quantizedmodels"
    }

    def leaving(event):
        account = event["user"].get("username", "").removeprefix("system:serviceaccount:")
        return event["requestReceivedTimestamp"] > deleted.get(account, "9")

    return sorted({
        f"{event['user']['username']}: {event['verb']} {event['requestURI'].split('?')[0]}: {event['annotations'].get('authorization.k8s.io/reason', '')}"
        for event in events
        if re.search(pattern, event["user"].get("username", ""))  # none: refused before anyone knew who asks
        and event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"
        and not leaving(event)
    })


def never_used(granted, needed):
    def covers(grant):
        return any(
            (grant.group, grant.resource, grant.verb) == (need.group, need.resource, need.verb) and grant.name in ("", need.name)
            for need in needed
        )

    return sorted(grant for grant in granted if not covers(grant))
