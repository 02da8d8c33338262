"""Structured log lines on stderr, as a console for people or as JSON for machines.

An event is a short constant phrase; all else is keys. A value whose key names a secret is never
written, and neither is an object's content: passes log names, not manifests. What looks like a
credential is taken out of every text, wherever it comes from.

Verbosity 0 tells what an operator acts on, 1 how each pass ended, 2 each write and each change of a
condition, 3 how each node stands. Whoever logs above 0 asks `verbosity()` first: a pass must not
pay for lines that nobody wants.

Source: spec "API surface and operations" §7.9.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TextIO, TypeAlias, cast

import orjson
import structlog

_REDACTED: Final = frozenset({"token", "authorization", "password", "secret", "client_key"})
_CREDENTIAL: Final = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"  # a header's value
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # a JSON web token
    r"|(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"  # a user and a password in a URL
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
)
_HIDDEN: Final = "<redacted>"
_SAME_IN_A_SECOND: Final = 100
_DISTINCT_IN_A_SECOND: Final = 4096

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


class _State:
    """What `configure` has set, for whoever wants to know before it writes."""

    verbosity = 0


_state: Final = _State()


Logger: TypeAlias = structlog.typing.FilteringBoundLogger


class Lines(Protocol):
    """Where lines go: a text stream, as far as logging uses one."""

    def write(self, text: str, /) -> int:
        """Take a whole line."""
        ...

    def flush(self) -> None:
        """Let it be read."""
        ...


def configure(
    *,
    encoder: str,
    verbosity: int,
    time_encoding: str,
    traces_from: str = "error",
    sampled: bool = False,
    stream: Lines | None = None,
    dropped: Callable[[], object] = lambda: None,
    now: Callable[[], float] = time.time,
) -> None:
    """Make every logger of the process write to `stream` (stderr by default) from now on.

    Args:
        encoder: `console` or `json`.
        verbosity: 0 writes info and worse, above it also debug, -1 errors only, -2 less.
        time_encoding: one of the words of `--zap-time-encoding`.
        traces_from: the level, one of `LEVELS`, from which on an exception comes with its trace.
        sampled: of more than a hundred equal lines in a second, only each hundredth is written.
        dropped: told of each line that is left out for that.
    """
    _state.verbosity = verbosity
    traces = LEVELS[traces_from]

    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["ts"] = _encode_time(now(), time_encoding)
        return event

    def explain(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Say what the exception is, and from the wanted level on where it came from."""
        error = event.get("exc_info")
        if error is True:
            error = event["exc_info"] = sys.exc_info()[1]
        if isinstance(error, BaseException) and "error" not in event:
            event["error"] = str(error) or type(error).__name__
        if LEVELS[event["level"]] < traces:
            event.pop("exc_info", None)
        return event

    structlog.configure(
        processors=[
            *([_Sampler(now, dropped)] if sampled else []),
            structlog.contextvars.merge_contextvars,
            _add_level,
            stamp,
            explain,
            structlog.processors.format_exc_info,
            _redact,
            _render_json if encoder == "json" else _render_console,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_minimum_level(verbosity)),
        # One write a line, so that lines of several threads do not mix.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, stream or sys.stderr)),
        cache_logger_on_first_use=False,
    )


def get_logger(name: str, **keys: object) -> Logger:
    """Return a logger whose lines carry `name` and the given keys."""
    # Not bound yet: a logger that a module makes when it is imported follows a later `configure`.
    logger: Logger = structlog.get_logger(logger_name=name, **keys)
    return logger


def bound(**keys: object) -> AbstractContextManager[None]:
    """Let every line that is written in the block, and in tasks begun there, carry the keys."""
    return structlog.contextvars.bound_contextvars(**keys)


def verbosity() -> int:
    """Return how much is written; see the head of this module."""
    return _state.verbosity


def _minimum_level(verbosity: int) -> int:
    if verbosity >= 1:
        return 10
    return {0: 20, -1: 40}.get(verbosity, 50)


def _add_level(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["logger"] = event.pop("logger_name", "")
    event["level"] = {"exception": "error", "warn": "warning"}.get(method, method)
    return event


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if key.lower() in _REDACTED:
            event[key] = _HIDDEN
        elif isinstance(value, str):
            event[key] = _CREDENTIAL.sub(_HIDDEN, value)
    return event


class _Sampler:
    """Drops what is said too often: after a hundred equal lines in a second, all but a hundredth.

    Lines are equal when level, logger and event are. Bounded: what is different from thousands of
    others within a second is not counted.
    """

    def __init__(self, now: Callable[[], float], dropped: Callable[[], object]) -> None:
        self._now, self._dropped = now, dropped
        self._second = 0
        self._counts: dict[tuple[object, ...], int] = {}

    def __call__(
        self, _: Any, method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Let the event through, or end its way."""
        second = int(self._now())
        if second != self._second:
            self._second = second
            self._counts = {}
        key = (method, event.get("logger_name"), event.get("event"))
        count = self._counts.get(key, 0) + 1
        if count > 1 or len(self._counts) < _DISTINCT_IN_A_SECOND:
            self._counts[key] = count
        if count > _SAME_IN_A_SECOND and count % _SAME_IN_A_SECOND:
            self._dropped()
            raise structlog.DropEvent
        return event


def _encode_time(instant: float, encoding: str) -> str | float | int:
    if encoding == "epoch":
        return instant
    if encoding == "millis":
        return instant * 1e3
    if encoding == "nanos":
        return round(instant * 1e6) * 1000
    moment = datetime.fromtimestamp(instant, UTC)
    if encoding == "iso8601":
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    if encoding == "rfc3339nano":
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".") + "Z"
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _render_json(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    line = {
        "level": event.pop("level"),
        "ts": event.pop("ts"),
        "logger": event.pop("logger", ""),
        "msg": event.pop("event"),
    }
    if "exception" in event:
        event["stacktrace"] = event.pop("exception")
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
