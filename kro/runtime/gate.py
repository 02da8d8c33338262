"""The write gate of a process that competes for a lease, and the clock that it goes by.

Source: spec "Controller runtime" P-106, P-125, P-129.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kro.runtime.client import NotLeadingError
from kro.runtime.lease import LeaseSettings


def boot_time() -> float:
    """Return seconds of a clock that runs on while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class LeaderGate:
    """The write gate of a process that competes for a lease. May be asked from any thread."""

    def __init__(self, settings: LeaseSettings, boot: Callable[[], float]) -> None:
        self._settings = settings
        self._boot = boot
        self.renewed: float | None = None
        """When the last successful renewal was sent; None while we do not lead."""

    def permit(self) -> float:
        """Return for how many seconds a write that starts now may run.

        Raises:
            NotLeadingError: this process does not lead, or did not renew in time.
        """
        renewed = self.renewed
        if renewed is None:
            raise NotLeadingError("this process does not lead, so it does not write")
        age_s = self._boot() - renewed
        if age_s >= self._settings.renew_deadline_s:
            raise NotLeadingError(
                f"the lease was last renewed {age_s:.0f} s ago: another process may be leading"
            )
        return self._settings.lease_duration_s - age_s

    @property
    def age_s(self) -> float | None:
        """How long ago the last successful renewal was sent; None while we do not lead."""
        renewed = self.renewed
        return None if renewed is None else self._boot() - renewed
