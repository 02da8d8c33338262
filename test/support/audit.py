"""What the controller asked of the API server, read from its audit log."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any


class Audit:
    """The requests of one user from now on; a watch counts once, when it is opened.

    Shape of the log: one audit event a line, level Metadata.
    """

    def __init__(self, log: Path, user: str) -> None:
        self._log = log
        self._user = user
        self._start = log.stat().st_size

    def requests(self, *, namespace: str = "") -> list[dict[str, Any]]:
        """Return the requests so far; with a namespace, only those within it."""
        events: dict[str, dict[str, Any]] = {}
        with self._log.open("rb") as log:
            log.seek(self._start)
            for line in log:
                if not line.endswith(b"\n"):
                    break  # still being written
                event = json.loads(line)
                reference = event.get("objectRef", {})
                if event["user"]["username"] != self._user or reference.get("resource") == "leases":
                    continue
                if namespace and reference.get("namespace") != namespace:
                    continue
                events.setdefault(event["auditID"], event)
        return list(events.values())

    def count(self, *, namespace: str = "") -> Counter[str]:
        """Return how often each verb was used on each resource: `patch configmaps`."""
        return Counter(
            f"{event['verb']} {_resource(event)}" for event in self.requests(namespace=namespace)
        )


def _resource(event: dict[str, Any]) -> str:
    reference = event.get("objectRef", {})
    return "/".join(filter(None, (reference.get("resource"), reference.get("subresource"))))
