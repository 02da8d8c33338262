"""How many files and sockets the process may have open, and how many of them are for watches.

Source: spec "Controller runtime" P-155, F-21.
"""

from __future__ import annotations

import resource
from typing import Final

from kro.errors import KroError

RESERVED: Final = 160
"""For requests (64), probes and metrics (64), the lease, the log and what libraries open."""
LEAST: Final = 32
"""With fewer watches no controller of several kinds works."""


class TooFewFilesError(KroError):
    """The process may not open as many files as it needs."""

    reason = "InvalidConfiguration"


def watch_budget(wanted: int) -> int:
    """Return how many watches may be open at once, `wanted` if the system allows that.

    Raises the process's own limit as far as it may.

    Raises:
        TooFewFilesError: not even a few watches would leave room for the rest.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - RESERVED)
    if room < LEAST:
        raise TooFewFilesError(
            f"the process may have only {soft} open files; allow it {RESERVED + LEAST} at least,"
            f" better {needed} (ulimit -n)"
        )
    return room
