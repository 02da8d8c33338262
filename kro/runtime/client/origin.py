"""On whose behalf requests are sent: an id that they can be traced by, and how urgent they are.

A context variable carries it, so that whatever a pass calls, in whatever task of its own, is known
as the pass's without being handed on. What outlives a pass must not be started in its context.

Source: spec "Controller runtime" P-109, P-153.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom a request belongs to; by default nobody in particular, which is most urgent."""

    id: str = ""
    rank: int = 0
    """Who goes first where requests wait for the client-side limit; smaller is sooner."""


_NOBODY: Final = Origin()
_current: ContextVar[Origin] = ContextVar("origin", default=_NOBODY)


def current_origin() -> Origin:
    """Return on whose behalf the running code acts."""
    return _current.get()


@contextmanager
def acting_for(origin: Origin) -> Iterator[None]:
    """Send what is sent in the block, and in tasks begun there, on behalf of `origin`."""
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)
