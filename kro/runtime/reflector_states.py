"""The reflector's machine: states, signals, and one pure `step` that holds every arrow.

A load makes the store whole, a watch keeps it so. A stream that ends costs nothing but a resume;
only a history that the server has lost costs another load.

Source: spec "Controller runtime" P-007, P-009, P-010, P-021, P-022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from kro.errors import InvariantError


@dataclass(frozen=True, slots=True)
class Unsynced:
    """The store must be loaded, not older than `floor`; without one, consistently."""

    floor: str = ""


@dataclass(frozen=True, slots=True)
class Synced:
    """The store is whole as of `cursor`: the next call is a watch from there."""

    cursor: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The API server does not serve the resource: the store is empty, and that is the truth."""


@dataclass(frozen=True, slots=True)
class Forbidden:
    """We may not read; `before` is what the next attempt goes on from."""

    before: Unsynced | Synced


State: TypeAlias = Unsynced | Synced | Absent | Forbidden


@dataclass(frozen=True, slots=True)
class Listed:
    """A load is complete as of `cursor`."""

    cursor: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The server accepted a watch from the cursor."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """An event or a bookmark is in the store."""

    cursor: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The attempt ended, with or without an error, and the cursor is as good as before."""


@dataclass(frozen=True, slots=True)
class Expired:
    """The server does not know the history since the cursor any more (410)."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """The cursor is newer than anything the server knows."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """Resuming fails again and again, or cannot be done: better load."""


@dataclass(frozen=True, slots=True)
class NotServed:
    """The resource does not exist."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The server refuses us: 401 or 403."""


Signal: TypeAlias = (
    Listed | Opened | Advanced | Dropped | Expired | Ahead | Doubtful | NotServed | Denied
)


def step(state: State, signal: Signal) -> State:
    """Every arrow of the reflector and nothing else: no I/O, no clock, no log line."""
    match state, signal:
        case _, Listed(cursor):
            return Synced(cursor)
        case Synced(), Advanced(cursor):
            return Synced(cursor)
        case _, Dropped():  # a closed stream is not a lost cursor: resume, do not relist
            return state
        case _, NotServed():
            return Absent()
        case (Unsynced() | Synced()) as before, Denied():
            return Forbidden(before)
        case Forbidden(), Denied():
            return state
        case Absent(), Denied():
            return Forbidden(Unsynced())
        case Forbidden(Synced() as before), Opened():
            return before
        case Synced(), Opened():
            return state
        case Forbidden(before), Expired() | Ahead() | Doubtful():
            reloaded = step(before, signal)
            return Forbidden(reloaded) if isinstance(reloaded, Unsynced | Synced) else reloaded
        case Synced(cursor), Expired() | Doubtful():
            return Unsynced(floor=cursor)
        case Synced(), Ahead():
            return Unsynced()
        case Unsynced() | Absent(), Expired() | Ahead() | Doubtful():
            return Unsynced()
    raise InvariantError(f"no arrow from {state} on {signal}")
