from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from typing import TextIO

import pytest
import structlog

from kro.logs import configure, get_logger
from kro.runtime import LineWriter


class Pipe:
    """A pipe whose reader reads when it is told to."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self.reader = reader
        self.target: TextIO = os.fdopen(writer, "w")

    def read(self) -> bytes:
        return os.read(self.reader, 1 << 20)

    def close(self) -> None:
        os.close(self.reader)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.target.close()


def test_lines_come_in_their_order_and_all_before_the_end() -> None:
    target = io.StringIO()
    with LineWriter(target) as lines:
        for at in range(100):
            lines.write(f"{at}\n")

    assert target.getvalue() == "".join(f"{at}\n" for at in range(100))


def test_a_reader_that_stops_holds_nobody_up_and_what_is_lost_is_counted(pipe: Pipe) -> None:
    """F-71, P-150: with a bound of 50 lines of 10 KB in place of 10,000 lines."""
    lost = 0

    def dropped() -> None:
        nonlocal lost
        lost += 1

    lines = LineWriter(pipe.target, dropped=dropped, lines=50)
    lines.recovered = lambda count: lines.write(f"dropped {count}\n")
    with lines:
        for at in range(500):
            lines.write(f"{at} {'x' * 10_000}\n")
        read = b""
        while b"dropped" not in read:
            read += pipe.read()

    kept = [int(line.split()[0]) for line in read.splitlines() if b"dropped" not in line]
    assert len(kept) + lost == 500
    assert kept == list(range(len(kept)))
    assert 50 <= len(kept) <= 110
    assert read.endswith(b"dropped %d\n" % lost)
    pipe.close()


def test_a_reader_that_is_gone_holds_nobody_up(pipe: Pipe) -> None:
    """F-71: the process goes on without a log; and it ends though nobody reads the rest."""
    pipe.close()
    with LineWriter(pipe.target) as lines:
        for _ in range(100):
            lines.write("x" * 10_000)
    os.set_blocking(pipe.target.fileno(), False)


def test_loggers_write_through_it_from_any_thread() -> None:
    target = io.StringIO()
    with LineWriter(target) as lines:
        configure(encoder="json", verbosity=0, time_encoding="epoch", stream=lines)
        log = get_logger("test")
        threads = [threading.Thread(target=log.info, args=(f"line {at}",)) for at in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    structlog.reset_defaults()

    said = {json.loads(line)["msg"] for line in target.getvalue().splitlines()}
    assert said == {f"line {at}" for at in range(20)}
