"""What the client tells about itself: the hook that metrics and tests attach to."""

from __future__ import annotations

from typing import Protocol

from kro.refs import GVR


class Observer(Protocol):
    """Hears of every attempt. Called synchronously on the client's loop; must not raise.

    Source: spec "API surface and operations" §8.6, for the names that these facts become.
    """

    def attempt(
        self,
        *,
        method: str,
        verb: str,
        gvr: GVR | None,
        host: str,
        code: str,
        duration_s: float,
        sent_bytes: int,
        received_bytes: int,
    ) -> None:
        """One request was answered, with the status `code`, or failed (`<error>`).

        A watch counts when it was opened. `verb` is one of get, list, watch, create, apply, patch,
        update, delete, read.
        """

    def retried(self, *, method: str, code: str) -> None:
        """An attempt after the first is about to be made, because of `code`."""

    def limited(self, *, method: str, wait_s: float) -> None:
        """The client-side limit held a request for so long; only where a limit is set."""

    def stream_ended(self, *, gvr: GVR, cause: str) -> None:
        """A watch stream is over.

        `cause` is one of closed, cut, silent, overdue, expired, refused, garbage, too_large, and
        abandoned when its reader left.
        """

    def warned(self, text: str) -> None:
        """The API server warned about something, or the set-up is unsafe; once a text."""


class NullObserver:
    """Ignores everything."""

    def attempt(
        self,
        *,
        method: str,
        verb: str,
        gvr: GVR | None,
        host: str,
        code: str,
        duration_s: float,
        sent_bytes: int,
        received_bytes: int,
    ) -> None:
        """Do nothing."""

    def retried(self, *, method: str, code: str) -> None:
        """Do nothing."""

    def limited(self, *, method: str, wait_s: float) -> None:
        """Do nothing."""

    def stream_ended(self, *, gvr: GVR, cause: str) -> None:
        """Do nothing."""

    def warned(self, text: str) -> None:
        """Do nothing."""
