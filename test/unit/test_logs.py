"""Log lines are structured, levelled and free of secrets."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import pytest
import structlog

from kro import logs

NOW = 1767225600.25


def _configured(
    encoder: str = "json",
    verbosity: int = 0,
    time: str = "rfc3339",
    traces_from: str = "error",
    dropped: Callable[[], object] | None = None,
    now: Callable[[], float] = lambda: NOW,
) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(
        encoder=encoder,
        verbosity=verbosity,
        time_encoding=time,
        traces_from=traces_from,
        sampled=dropped is not None,
        stream=stream,
        dropped=dropped or (lambda: None),
        now=now,
    )
    return stream


@pytest.fixture(autouse=True)
def _configured_anew() -> Iterator[None]:
    """Leave the loggers of the process as other tests expect them."""
    yield
    structlog.reset_defaults()


def test_json_line_holds_level_time_logger_and_keys() -> None:
    """Machines read one JSON object a line."""
    stream = _configured()

    logs.get_logger("setup", gvr="apps").info("started", attempt=2)

    assert json.loads(stream.getvalue()) == {
        "level": "info",
        "ts": "2026-01-01T00:00:00Z",
        "logger": "setup",
        "msg": "started",
        "gvr": "apps",
        "attempt": 2,
    }


def test_console_line_is_tab_separated() -> None:
    """People read time, level, logger, message, keys."""
    stream = _configured("console")

    logs.get_logger("setup").info("started", attempt=2)

    assert stream.getvalue() == '2026-01-01T00:00:00Z\tINFO\tsetup\tstarted\t{"attempt":2}\n'


@pytest.mark.parametrize(
    ("verbosity", "written"),
    [(1, ["debug", "info", "error"]), (0, ["info", "error"]), (-1, ["error"]), (-2, [])],
)
def test_verbosity_decides_what_is_written(verbosity: int, written: list[str]) -> None:
    """0 is info and worse, above it debug, below it errors only, then nothing."""
    stream = _configured(verbosity=verbosity)
    logger = logs.get_logger("x")

    logger.debug("d")
    logger.info("i")
    logger.error("e")

    levels = [json.loads(line)["level"] for line in stream.getvalue().splitlines()]
    assert levels == written


def test_secrets_are_not_written() -> None:
    """A key that names a secret is redacted, whatever its value."""
    stream = _configured()

    logs.get_logger("x").info("request", token="abc", Authorization="Bearer abc")

    assert "abc" not in stream.getvalue()


def test_error_carries_its_traceback() -> None:
    """`exception` writes the traceback once, in the same line."""
    stream = _configured()

    try:
        raise ValueError("boom")
    except ValueError:
        logs.get_logger("x").exception("pass failed")

    line = json.loads(stream.getvalue())
    assert "ValueError: boom" in line["stacktrace"]
    assert line["error"] == "boom"


def test_below_the_wanted_level_an_exception_is_named_without_its_trace() -> None:
    """`--zap-stacktrace-level` decides from where on a trace is worth its space."""
    stream = _configured(traces_from="critical")

    logs.get_logger("x").error("pass failed", exc_info=ValueError("boom"))

    line = json.loads(stream.getvalue())
    assert (line["error"], "stacktrace" in line) == ("boom", False)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("epoch", NOW),
        ("millis", NOW * 1000),
        ("nanos", 1767225600250000000),
        ("iso8601", "2026-01-01T00:00:00.250Z"),
        ("rfc3339", "2026-01-01T00:00:00Z"),
        ("rfc3339nano", "2026-01-01T00:00:00.25Z"),
    ],
)
def test_time_is_written_as_asked(encoding: str, expected: object) -> None:
    """Spec §7.1: the words of `--zap-time-encoding`, as zap writes them."""
    stream = _configured(time=encoding)

    logs.get_logger("x").info("started")

    assert json.loads(stream.getvalue())["ts"] == expected


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        pytest.param("answered: Bearer abcdefgh12345678", "abcdefgh12345678", id="bearer"),
        pytest.param("basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA", id="basic"),
        pytest.param(
            "got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJrcm8ifQ.c2lnbmF0dXJl", "c2lnbmF0dXJl", id="jwt"
        ),
        pytest.param("proxy http://me:hunter22@proxy:1", "hunter22", id="password in a URL"),
        pytest.param(
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
            "MIIEow",
            id="private key",
        ),
    ],
)
def test_what_looks_like_a_credential_is_taken_out_of_every_text(text: str, secret: str) -> None:
    """Errors quote what others said; whoever reads the log must not get in with it."""
    stream = _configured()

    logs.get_logger("x").error("pass failed", error=text)

    assert secret not in stream.getvalue()
    assert "<redacted>" in stream.getvalue()


def test_equal_lines_are_sampled_above_a_hundred_a_second() -> None:
    """Spec §7.9: as zap does it, the first hundred and then each hundredth, second by second."""
    at = [1000.0]
    lost: list[None] = []
    stream = _configured(dropped=lambda: lost.append(None), now=lambda: at[0])
    logger = logs.get_logger("x")

    for number in range(350):
        logger.info("again", number=number)
    logger.info("something else")
    at[0] += 1
    logger.info("again", number=350)

    numbers = [json.loads(line).get("number") for line in stream.getvalue().splitlines()]
    assert numbers == [*range(100), 199, 299, None, 350]
    assert len(lost) == 350 - 102


def test_verbosity_can_be_asked() -> None:
    """Who logs in every pass asks before it puts a line together."""
    _configured(verbosity=2)

    assert logs.verbosity() == 2


def test_a_logger_made_before_the_configuration_follows_it() -> None:
    """Modules make their loggers when they are imported."""
    early = logs.get_logger("early", part="x")
    stream = _configured()

    early.info("started")

    assert json.loads(stream.getvalue())["part"] == "x"
