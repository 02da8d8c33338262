"""Log lines go to a pipe that somebody else has to read; this waits for nobody.

A thread of its own writes. When the reader stops, lines pile up to a bound and are dropped then;
once it reads again, one line says how many. Nobody who logs is ever held up.

Source: spec "Controller runtime" P-146, P-150, F-71.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TextIO

LINES: Final = 10_000
CHARACTERS: Final = 8 * 1024 * 1024
GOODBYE_S: Final = 2.0


class LineWriter:
    """A text stream in front of another, whose `write` never waits.

    Leaving the block waits a moment for what is left to be written.

    Args:
        target: where the lines go.
        dropped: told of each line that is dropped, by the thread that wanted to write it.
        recovered: told how many were, by this thread, once lines are read again.

    Concurrency: any thread may write.
    """

    def __init__(
        self,
        target: TextIO,
        *,
        dropped: Callable[[], object] = lambda: None,
        recovered: Callable[[int], object] = lambda lines: None,
        lines: int = LINES,
        characters: int = CHARACTERS,
    ) -> None:
        self.dropped, self.recovered = dropped, recovered
        self._target = target
        self._lines, self._characters = lines, characters
        self._waiting: deque[str] = deque()
        self._held = 0
        self._lost = 0
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def write(self, text: str) -> int:
        """Take the text; it is written later, or dropped when too much waits."""
        with self._changed:
            fits = len(self._waiting) < self._lines and self._held + len(text) <= self._characters
            if fits:
                self._waiting.append(text)
                self._held += len(text)
                self._changed.notify()
            else:
                self._lost += 1
        if not fits:
            self.dropped()
        return len(text)

    def flush(self) -> None:
        """Return at once: the thread flushes what it writes."""

    def __enter__(self) -> Self:
        """Begin to write."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is left, unless nobody reads it."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(GOODBYE_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._ended:
                    self._changed.wait()
                texts = list(self._waiting)
                self._waiting.clear()
                self._held, lost = 0, self._lost
                self._lost = 0
            if not texts:
                return
            try:
                self._target.write("".join(texts))
                self._target.flush()
            except (OSError, ValueError):
                continue  # a closed pipe takes nothing more: the process goes on without a log
            if lost:
                self.recovered(lost)
