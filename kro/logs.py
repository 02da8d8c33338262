"""Structured log lines on stderr, as a console for people or as JSON for machines.

An event is a short constant phrase; all else is keys. A value whose key names a secret is never
written, and neither is an object's content: passes log names, not manifests.

Source: spec "API surface and operations" §7.9.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import orjson
import structlog

_REDACTED: Final = frozenset({"token", "authorization", "password", "secret", "client_key"})


def configure(
    *,
    encoder: str,
    verbosity: int,
    time_encoding: str,
    stream: TextIO | None = None,
    now: Callable[[], float] = time.time,
) -> None:
    """Make every logger of the process write to `stream` (stderr by default) from now on.

    Args:
        encoder: `console` or `json`.
        verbosity: 0 writes info and worse, 1 also debug, -1 errors only.
        time_encoding: one of the words of `--zap-time-encoding`.
    """

    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["ts"] = _encode_time(now(), time_encoding)
        return event

    structlog.configure(
        processors=[
            _add_level,
            stamp,
            structlog.processors.format_exc_info,
            _redact,
            _render_json if encoder == "json" else _render_console,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_minimum_level(verbosity)),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str, **keys: object) -> structlog.typing.FilteringBoundLogger:
    """Return a logger whose lines carry `name` and the given keys."""
    # Not bound yet: a logger that a module makes when it is imported follows a later `configure`.
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(logger_name=name, **keys)
    return logger


def _minimum_level(verbosity: int) -> int:
    if verbosity >= 1:
        return 10
    return {0: 20, -1: 40}.get(verbosity, 50)


def _add_level(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["logger"] = event.pop("logger_name", "")
    event["level"] = {"exception": "error", "warn": "warning"}.get(method, method)
    return event


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if key.lower() in _REDACTED:
            event[key] = "<redacted>"
    return event


def _encode_time(instant: float, encoding: str) -> str | float | int:
    if encoding == "epoch":
        return instant
    if encoding == "millis":
        return instant * 1e3
    if encoding == "nanos":
        return int(instant * 1e9)
    moment = datetime.fromtimestamp(instant, UTC)
    if encoding == "iso8601":
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    if encoding == "rfc3339nano":
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _render_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    line = {
        "level": event.pop("level"),
        "ts": event.pop("ts"),
        "logger": event.pop("logger", ""),
        "msg": event.pop("event"),
    }
    return orjson.dumps({**line, **event}, default=str).decode()


def _render_console(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    trace = event.pop("exception", "")
    parts = [
        str(event.pop("ts")),
        str(event.pop("level")).upper(),
        str(event.pop("logger", "")),
        str(event.pop("event")),
    ]
    if event:
        parts.append(orjson.dumps(event, default=str).decode())
    return "\t".join(parts) + (f"\n{trace}" if trace else "")
