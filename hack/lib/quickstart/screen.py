"""What the person sees: steps, the commands in them with their output, and how each step ended.

The text is the same in a terminal and in a pipe, line by line and in order; a terminal adds
colours, an output that is not Unicode replaces the marks.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

INDENT = "  "
BOLD, DIM, RED, GREEN, CYAN = "1", "2", "31", "32", "36"


class Step:
    """One step while it is under way."""

    def __init__(self) -> None:
        self.result = "done"
        """What holds at its end."""
        self.is_good = True


class Screen:
    """Writes to one stream.

    When its reader is gone, as with `… | head` or a closed terminal, that is taken for the hangup
    which it is: the process sends itself SIGHUP, and what is written afterwards is dropped.
    """

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._colours = (
            stream.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
        )
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # what cannot be shown must not end the run
        unicode = (stream.encoding or "").lower().replace("-", "") == "utf8"
        self._begin, self._good, self._bad = ("▸", "✓", "✗") if unicode else ("==>", "ok:", "!!")
        self._gone = False

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show the title, what is written in the block below it, then the result and the time."""
        self._line()
        self._line(self._paint(BOLD, f"{self._begin} {title}"))
        started = time.monotonic()
        step = Step()
        try:
            yield step
        except KeyboardInterrupt:
            self._end(RED, self._bad, "interrupted", started)
            raise
        except BaseException:
            self._end(RED, self._bad, "failed", started)
            raise
        colour, mark = (GREEN, self._good) if step.is_good else (RED, self._bad)
        self._end(colour, mark, step.result, started)

    def command(self, command: str) -> None:
        """Show a command that a person could type."""
        self._line(INDENT + self._paint(CYAN, f"$ {command}"))

    def output(self, text: str) -> None:
        """Show what a command said."""
        if text.strip():
            self._line(textwrap.indent(text.rstrip("\n"), INDENT))

    def note(self, text: str) -> None:
        """Show a line of explanation or progress."""
        self._line(textwrap.indent(self._paint(DIM, text), INDENT))

    def text(self, text: str = "") -> None:
        """Show text as it stands."""
        self._line(text)

    def heading(self, text: str) -> None:
        self._line()
        self._line(self._paint(BOLD, text))

    def error(self, text: str) -> None:
        """Show what went wrong."""
        self._line()
        self._line(self._paint(RED, text))

    def commands(self, rows: list[tuple[str, str]]) -> None:
        """Show commands, each with what it shows or does in the line above it."""
        for what, command in rows:
            self._line()
            self._line(INDENT + self._paint(DIM, f"# {what}"))
            self._line(INDENT + self._paint(CYAN, command))

    def _end(self, colour: str, mark: str, result: str, started: float) -> None:
        seconds = self._paint(DIM, f"({time.monotonic() - started:.1f} s)")
        self._line(f"{INDENT}{self._paint(colour, mark)} {result} {seconds}")

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colours else text

    def _line(self, text: str = "") -> None:
        if self._gone:
            return
        try:
            print(text, file=self._stream, flush=True)
        except OSError:
            self._gone = True
            # Python flushes the stream once more when it ends, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            signal.raise_signal(signal.SIGHUP)
