"""Log lines are structured, levelled and free of secrets."""

from __future__ import annotations

import io
import json

import pytest

from kro import logs


def _configured(encoder: str = "json", verbosity: int = 0, time: str = "rfc3339") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(
        encoder=encoder,
        verbosity=verbosity,
        time_encoding=time,
        stream=stream,
        now=lambda: 1767225600.25,
    )
    return stream


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

    assert "ValueError: boom" in json.loads(stream.getvalue())["exception"]


def test_a_logger_made_before_the_configuration_follows_it() -> None:
    """Modules make their loggers when they are imported."""
    early = logs.get_logger("early", part="x")
    stream = _configured()

    early.info("started")

    assert json.loads(stream.getvalue())["part"] == "x"
