"""Which failed attempt is made again, and after which pause. Pure.

Source: spec "Controller runtime" P-110 to P-112; the storage start-up of a new kind as the API
server 1.36 behaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kro.runtime.client.errors import (
    ClientError,
    ConnectionLostError,
    ServerError,
    TooManyRequestsError,
    UnreachableError,
)


class Replay(Enum):
    """How harmless it is to send a request twice."""

    SAFE = "safe"
    """It changes nothing."""
    IDEMPOTENT = "idempotent"
    """Twice is once: apply, delete of one identity. Not after the answer has begun."""
    UNSAFE = "unsafe"
    """It is sent again only when the server said that it did nothing."""
    ONCE = "once"
    """The caller has a pace of its own."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What happened so far: `number` attempts, all failed, `starting` of them on a kind's start."""

    number: int
    error: ClientError
    starting: int = 0


MAX_ATTEMPTS = 10
MAX_CONNECTIONS = 3
"""Attempts of a request that found no connection, or lost it."""
MAX_WAIT_S = 60.0
MAX_BACKOFF_S = 30.0
JITTER = 0.2

STARTING_WAITS_S = (0.01, 0.02, 0.04, 0.08, 0.15, 0.2, 0.2)
"""Pauses, 0.7 s in all, for the storage of a kind that was created a moment ago."""


def is_starting(error: ClientError) -> bool:
    """Return whether a read was refused because the storage of the kind is not ready yet.

    The API server asks for a whole second then, though it needs some ten milliseconds. This refusal
    comes as a Status with details; the overload filters, whose pauses must be kept, send text.
    """
    return isinstance(error, TooManyRequestsError) and error.status.kind == "Status"


def pause_s(replay: Replay, attempt: Attempt, *, jitter: float) -> float | None:
    """Return how long to wait before the next attempt, or None if there must be none.

    Args:
        jitter: uniform in [0, 1).
    """
    number, error = attempt.number, attempt.error
    if replay is Replay.ONCE or number >= MAX_ATTEMPTS:
        return None
    backoff = min(0.5 * 2.0 ** (number - 1), MAX_BACKOFF_S)
    repeatable = replay is not Replay.UNSAFE
    match error:
        case TooManyRequestsError(retry_after_s=asked):
            return _told(asked, backoff, jitter)
        case ServerError(retry_after_s=float() as asked) if repeatable:
            return _told(asked, backoff, jitter)
        case UnreachableError() if repeatable and number < MAX_CONNECTIONS:
            return 0.2 * backoff * (1 + jitter)
        case ConnectionLostError(answered=answered) if repeatable and number < MAX_CONNECTIONS:
            if answered and replay is not Replay.SAFE:
                return None
            # The first loss is mostly a kept-alive connection that the server had just closed.
            return 0.0 if number == 1 else backoff * (1 + jitter)
    return None


def _told(asked: float, backoff: float, jitter: float) -> float:
    """Never earlier than asked; later when it keeps happening; never in step with others."""
    return min(max(asked, backoff), MAX_WAIT_S) * (1 + JITTER * jitter)
