"""Waiting for what nobody tells, in tests that run commands and no event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T], holds: Callable[[T], object], *, within_s: float = 60.0) -> T:
    """Return what is seen once it is as it should be.

    Raises:
        AssertionError: not in time; shows what was seen last.
    """
    deadline = time.monotonic() + within_s
    while not holds(seen := look()):
        assert time.monotonic() < deadline, f"not in {within_s:g} s; last seen: {seen}"
        time.sleep(0.1)
    return seen
