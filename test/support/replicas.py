"""Several controllers on one control plane, told apart, and the oracle of their leadership.

Every replica is a process with a user of its own, so that the API server's audit log says which of
them wrote what, and when.

Source: spec "Controller runtime" P-124, P-128, P-134 and I-05.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from support.audit import WRITES
from support.controlplane import ControlPlane, User
from support.operator import Operator

LEASE: Final = "controller.kro.run"
NAMESPACE: Final = "kro-system"
LETTERS: Final = "abc"
_SYNCED: Final = re.compile(
    r'^kro_runtime_informers\{[^}]*state="synced"[^}]*\} (\S+)$', re.MULTILINE
)
_names = itertools.count()


def user_of(letter: str) -> User:
    """Return who a replica is to the API server: with the rights of the wide mode."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}")
    return User(f"system:serviceaccount:{NAMESPACE}:kro-{letter}", groups, cluster_admin=True)


USERS: Final = frozenset(user_of(letter).name for letter in LETTERS)
_FREE: Final = frozenset({"leases", "events"})
"""What a standby writes too."""


class Replica(Operator):
    """One of several controllers that compete for the lead."""

    def __init__(
        self, letter: str, kubeconfig: Path, log: Path, *, flags: Sequence[str] = ()
    ) -> None:
        election = ("--leader-elect", f"--leader-election-namespace={NAMESPACE}")
        super().__init__(kubeconfig, log, flags=[*election, *flags])
        self.letter = letter
        self.user = user_of(letter).name

    def probe(self, path: str) -> int | None:
        """Return the status that a probe gets within two seconds, None for no answer."""
        url = f"http://127.0.0.1:{self.health_port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return None

    def leads(self) -> bool:
        """Whether the process says that it leads."""
        try:
            return f'leader_election_master_status{{name="{LEASE}"}} 1' in self.metrics()
        except OSError:
            return False

    def loaded(self) -> int:
        """Return how many of its stores are whole, by what its metrics say."""
        return sum(int(float(value)) for value in _SYNCED.findall(self.metrics()))

    async def has_loaded(self, stores: int) -> None:
        """Wait until so many of its stores are whole."""
        async with asyncio.timeout(30):
            while await asyncio.to_thread(self.loaded) < stores:  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.05)

    async def ends(self, code: int, *, within_s: float = 20.0) -> None:
        """Wait until the process has ended by itself, and hold that it did so with that code."""
        ended = await asyncio.to_thread(self.wait_exit, within_s)
        assert ended == code, self.last_lines()

    async def ended(self) -> None:
        """Ask it to end as the kubelet does, and wait until it has, with code 0."""
        assert await asyncio.to_thread(self.stop) == 0, self.last_lines()


@dataclass(frozen=True, slots=True)
class Entry:
    """One answered request of the audit log. Units: seconds since the epoch."""

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    received: float
    answered: float

    @property
    def is_write(self) -> bool:
        """Whether it changed something, or could have."""
        return self.verb in WRITES

    def __str__(self) -> str:
        return (
            f"{self.user[-5:]} {self.verb} {self.resource} {self.namespace}/{self.name}"
            f" -> {self.code} at {self.received:.3f}..{self.answered:.3f}"
        )


@dataclass(frozen=True, slots=True)
class Term:
    """How long one replica held the lease: its successful writes of it, first to last."""

    user: str
    first: float
    last: float


class Stage:
    """A control plane for replicas, and what its audit log says of them."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.kubeconfig = plane.kubeconfig
        self._plane, self._folder = plane, folder

    def replica(
        self, letter: str, *, flags: Sequence[str] = (), kubeconfig: Path | None = None
    ) -> Replica:
        """Return a replica that is not started yet."""
        own = kubeconfig or self.kubeconfig_of(letter)
        return Replica(letter, own, self._folder / f"{letter}.log", flags=flags)

    def kubeconfig_of(self, letter: str) -> Path:
        """Return the way of a replica to the API server."""
        return self._plane.kubeconfig_of(user_of(letter).name)

    def entries(self, *, since: float = 0.0) -> list[Entry]:
        """Return what was answered since an instant, in the order of its coming."""
        lines = self._plane.audit_log.read_bytes().split(b"\n")[:-1]
        found = (_entry(line) for line in lines)
        return sorted(
            (each for each in found if each is not None and each.received >= since),
            key=lambda each: each.received,
        )


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Bring up a small control plane with a user for each replica."""
    plane = ControlPlane(f"kro-replicas-{os.getpid()}-{next(_names)}")
    users = [user_of(letter) for letter in LETTERS]
    plane.up(say=lambda _: None, audit=True, users=users, dies_with=os.getpid())
    try:
        yield Stage(plane, folder)
    finally:
        plane.down()


async def leader_of(replicas: Iterable[Replica], *, within_s: float) -> Replica:
    """Return the first of them that says that it leads.

    Raises:
        AssertionError: none does in time.
    """
    waiting = list(replicas)
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        for each in waiting:
            if await asyncio.to_thread(each.leads):
                return each
        await asyncio.sleep(0.05)
    raise AssertionError("\n".join(each.last_lines(10) for each in waiting))


def terms(entries: Sequence[Entry]) -> list[Term]:
    """Return who held the lease one after the other."""
    found: list[Term] = []
    for each in entries:
        written = _is_lease(each) and each.is_write and each.code < 400
        if not written or each.user not in USERS:
            continue
        if found and found[-1].user == each.user:
            found[-1] = Term(each.user, found[-1].first, each.received)
        else:
            found.append(Term(each.user, each.received, each.received))
    return found


def check_one_writer(entries: Sequence[Entry]) -> None:
    """I-05: every write of a replica lies between its taking of the lease and the next taking."""
    held = terms(entries)
    ends = [*(term.first for term in held[1:]), float("inf")]
    for each in entries:
        if each.user not in USERS or not is_work(each):
            continue
        assert any(
            term.user == each.user and term.first <= each.received and each.answered <= end
            for term, end in zip(held, ends, strict=True)
        ), f"{each} is outside of its writer's terms: {held}"


def is_work(entry: Entry) -> bool:
    """Whether it is a write that only a leader may make."""
    return entry.is_write and entry.resource not in _FREE


def creations(entries: Sequence[Entry], resources: Iterable[str]) -> Counter[tuple[str, str]]:
    """Return (resource, name) → how often such an object was created by an apply."""
    wanted = set(resources)
    return Counter(
        (each.resource, each.name)
        for each in entries
        if each.resource in wanted and each.verb == "patch" and each.code == 201
    )


def _is_lease(entry: Entry) -> bool:
    return entry.resource == "leases"


def _entry(line: bytes) -> Entry | None:
    event: dict[str, Any] = orjson.loads(line)
    if event["stage"] != "ResponseComplete":
        return None
    at = event.get("objectRef") or {}
    return Entry(
        user=event["user"]["username"],
        verb=event["verb"],
        resource="/".join(filter(None, (at.get("resource"), at.get("subresource")))),
        namespace=at.get("namespace", ""),
        name=at.get("name", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        received=datetime.fromisoformat(event["requestReceivedTimestamp"]).timestamp(),
        answered=datetime.fromisoformat(event["stageTimestamp"]).timestamp(),
    )
