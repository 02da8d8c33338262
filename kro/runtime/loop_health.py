"""Whether the event loop keeps up: how late it is, and what it was doing when it was.

A task measures by how much its own timer is late and leaves a heartbeat; a thread looks at the
heartbeat and, when it stays away, writes down what the loop's thread is busy with. The thread is
needed because a blocked loop cannot speak for itself.

Source: spec "Controller runtime" P-131, P-142, P-144.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Final

from kro.logs import get_logger

BEAT_S: Final = 0.1
STUCK_S: Final = 0.1
TELL_EVERY_S: Final = 10.0

_log = get_logger("loop")


class LoopHealth:
    """Heartbeat and lag of the loop that `run` runs on.

    Concurrency: `age_s` may be called from any thread.
    """

    def __init__(
        self,
        *,
        observe: Callable[[float], None] = lambda lag_s: None,
        beat: Callable[[], None] = lambda: None,
        stuck_s: float = STUCK_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._observe, self._beat = observe, beat
        self._stuck_s, self._monotonic = stuck_s, monotonic
        self._beaten_at = monotonic()
        self._told_at = float("-inf")

    @property
    def age_s(self) -> float:
        """How long ago the loop showed a sign of life."""
        return self._monotonic() - self._beaten_at

    def check(self, limit_s: float = 10.0) -> str | None:
        """Return what is wrong when the loop has been stuck for longer than `limit_s`."""
        age_s = self.age_s
        return f"the event loop is stuck for {age_s:.0f} s" if age_s > limit_s else None

    async def run(self) -> None:
        """Beat and measure until cancelled, with the watchdog beside."""
        ended = threading.Event()
        thread = threading.Thread(
            target=self._watch, args=(threading.get_ident(), ended), name="watchdog", daemon=True
        )
        thread.start()
        try:
            while True:
                due = self._monotonic() + BEAT_S
                await asyncio.sleep(BEAT_S)
                now = self._monotonic()
                self._beaten_at = now
                self._observe(max(0.0, now - due))
                self._beat()
        finally:
            ended.set()

    def _watch(self, thread_id: int, ended: threading.Event) -> None:
        while not ended.wait(BEAT_S / 2):
            age_s = self.age_s
            now = self._monotonic()
            if age_s > BEAT_S + self._stuck_s and now - self._told_at > TELL_EVERY_S:
                self._told_at = now
                frame = sys._current_frames().get(thread_id)
                stack = "".join(traceback.format_stack(frame)[-12:]) if frame is not None else ""
                _log.warning("event loop is held up", for_s=round(age_s - BEAT_S, 3), stack=stack)


def freeze_collector() -> None:
    """Take what lives now out of the garbage collector's sight: it is there to stay.

    To be called before the loop runs and once more after the first load; full collections then look
    at new objects only. Here only the young ones are looked at, for a full collection would hold
    the loop up; what little of the old is garbage stays.
    """
    gc.collect(1)
    gc.freeze()
