"""What the controller under test asked and wrote, read from the API server's audit log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from support.operator import Surroundings

WRITES = frozenset({"create", "update", "patch", "delete"})
REVIEWS = frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews"})
"""Questions about the asker's own rights: created, but nothing is stored."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request that the API server has answered."""

    verb: str
    resource: str
    """With its subresource: `graphrevisions`, `graphrevisions/status`."""
    namespace: str
    name: str
    code: int

    def __str__(self) -> str:
        """Return `patch graphrevisions/status a-r00001`."""
        return f"{self.verb} {self.resource} {self.name}"


class AuditLog:
    """The lines of an audit log from some moment on, as far as they are written.

    Args:
        user: whose requests count.
    """

    def __init__(self, path: Path, *, user: str) -> None:
        self._path, self._user = path, user
        self._at = path.stat().st_size
        self._rest = b""

    def writes(self) -> list[Request]:
        """Return the writes that came since the last call; failed ones did nothing, so not them."""
        return [
            each
            for each in self.requests()
            if each.verb in WRITES and each.code < 400 and each.resource not in REVIEWS
        ]

    def requests(self) -> list[Request]:
        """Return the requests that were answered since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        self._at += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        found = (_request(line, self._user) for line in lines)
        return [each for each in found if each is not None]


def log_of(surroundings: Surroundings) -> AuditLog:
    """Return the log of the controller's requests from now on."""
    assert surroundings.audit_log is not None, "this cluster has no audit log that we can read"
    return AuditLog(surroundings.audit_log, user=surroundings.controller_user)


def _request(line: bytes, user: str) -> Request | None:
    if not line:
        return None
    event: dict[str, Any] = orjson.loads(line)
    if event["user"]["username"] != user or event["stage"] != "ResponseComplete":
        return None
    at = event.get("objectRef") or {}
    if at.get("resource") in {"events", "leases"}:
        return None
    resource = "/".join(filter(None, (at.get("resource"), at.get("subresource"))))
    # A POST names its object in its body only, which is not logged.
    return Request(
        event["verb"],
        resource,
        at.get("namespace", ""),
        at.get("name", ""),
        event.get("responseStatus", {}).get("code", 0),
    )
