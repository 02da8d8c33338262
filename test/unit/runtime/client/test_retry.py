"""What is made again and when: the table behind the client's retries."""

from __future__ import annotations

import pytest

from kro.runtime.client import (
    ClientError,
    ConnectionLostError,
    ProtocolError,
    RequestTimeoutError,
    Status,
    UnreachableError,
    status_error,
)
from kro.runtime.client.errors import retry_after
from kro.runtime.client.retry import Attempt, Replay, is_starting, pause_s

BUSY = status_error(503, None, retry_after_s=5.0)
BROKEN = status_error(500, None)
THROTTLED = status_error(429, None, retry_after_s=5.0)
LOST = ConnectionLostError("lost")
BEGUN = ConnectionLostError("lost", answered=True)
NOWHERE = UnreachableError("nowhere")

SAFE, TWICE, UNSAFE, ONCE = Replay.SAFE, Replay.IDEMPOTENT, Replay.UNSAFE, Replay.ONCE


@pytest.mark.parametrize(
    ("error", "repeated"),
    [
        pytest.param(THROTTLED, {SAFE, TWICE, UNSAFE}, id="throttled"),
        pytest.param(BUSY, {SAFE, TWICE}, id="busy, with a time"),
        pytest.param(BROKEN, set(), id="broken, without a time"),
        pytest.param(status_error(404, None), set(), id="not found"),
        pytest.param(LOST, {SAFE, TWICE}, id="lost before the answer"),
        pytest.param(BEGUN, {SAFE}, id="lost in the answer"),
        pytest.param(NOWHERE, {SAFE, TWICE}, id="unreachable"),
        pytest.param(RequestTimeoutError("late"), set(), id="out of time"),
        pytest.param(ProtocolError("web page"), set(), id="no API server"),
    ],
)
def test_who_is_repeated(error: ClientError, repeated: set[Replay]) -> None:
    """Each failure by how harmless a second request is."""
    got = {replay for replay in Replay if pause_s(replay, Attempt(1, error), jitter=0) is not None}

    assert got == repeated


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        pytest.param(THROTTLED, 10, id="throttled"),
        pytest.param(BUSY, 10, id="busy"),
        pytest.param(LOST, 3, id="lost"),
        pytest.param(NOWHERE, 3, id="unreachable"),
    ],
)
def test_attempts_are_bounded(error: ClientError, attempts: int) -> None:
    """After the last attempt the error is the caller's."""
    made = 1
    while pause_s(SAFE, Attempt(made, error), jitter=0.5) is not None:
        made += 1

    assert made == attempts


def test_pauses_are_never_shorter_than_asked_and_never_endless() -> None:
    """The server's time is a floor, a minute with jitter is the ceiling."""
    for number in range(1, 10):
        for asked in (0.0, 5.0, 3600.0):
            error = status_error(429, None, retry_after_s=asked)
            for jitter in (0.0, 0.999):
                pause = pause_s(SAFE, Attempt(number, error), jitter=jitter)
                assert pause is not None
                assert min(asked, 60) <= pause <= 72


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("0", 0.0, id="zero"),
        pytest.param("-3", 0.0, id="negative"),
        pytest.param("Thu, 01 Jan 1970 00:01:40 GMT", 60.0, id="date"),
        pytest.param("Thu, 01 Jan 1970 00:00:10 GMT", 0.0, id="date that has passed"),
        pytest.param("soon", None, id="words"),
        pytest.param("inf", None, id="infinity"),
        pytest.param("nan", None, id="no number"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="absent"),
    ],
)
def test_retry_after_in_all_its_forms(value: str | None, seconds: float | None) -> None:
    """Seconds and HTTP dates are understood, nonsense is nothing."""
    assert retry_after(value, now_epoch_s=40.0) == seconds


def test_only_a_status_says_that_a_storage_starts() -> None:
    """Throttling by the filters in front, which comes as text, must be obeyed."""
    assert is_starting(status_error(429, Status(kind="Status", code=429)))
    assert not is_starting(status_error(429, None))
    assert not is_starting(status_error(503, Status(kind="Status", code=503)))
