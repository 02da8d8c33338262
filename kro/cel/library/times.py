"""Timestamps and durations as values: texts, conversions, and the members that read their fields.

Source: cel-go 0.31 (`timestamp`, `duration` and their accessors), kube-openapi's `strfmt` for texts
with a schema format; spec: cel.md §2.4, §5.1, §5.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from kro.cel.celtypes import DURATION, INT, STRING, TIMESTAMP
from kro.cel.failures import Failure
from kro.cel.functions import Function, Overload, function, member
from kro.cel.library import durations, timestamps
from kro.cel.library.durations import HOUR, MILLISECOND, MINUTE, SECOND
from kro.cel.library.timestamps import DAY_S, Calendar
from kro.cel.values import Duration, Timestamp, checked_int

_LOCAL_TIME: Final = re.compile(r"[0-9-]{10}T[0-9:]{8}(?:[.,][0-9]+)?")
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_WORDED: Final = re.compile(r"([0-9]+)\s*([A-Za-zµ]+)")
_WORDS: Final = (
    (("ns", "nano"), 1),
    (("us", "µs", "micro"), durations.MICROSECOND),
    (("ms", "milli"), MILLISECOND),
    (("s", "sec"), SECOND),
    (("m", "min"), MINUTE),
    (("h", "hr", "hour"), HOUR),
    (("d", "day"), 24 * HOUR),
    (("w", "wk", "week"), 7 * 24 * HOUR),
)
_LONGEST: Final = 1_000


def parse_rfc3339(text: str) -> Timestamp:
    """Return the instant of an RFC 3339 text.

    Raises:
        Failure: it is none, or outside the years 1 to 9999.
    """
    try:
        return Timestamp(*timestamps.parse_timestamp(text))
    except ValueError as error:
        raise Failure(
            f"type conversion error from 'string' to 'google.protobuf.Timestamp': {error}"
        ) from error


def parse_date_time(text: str) -> Timestamp:
    """Return the instant of a text with schema format `date-time`.

    That is RFC 3339, or the same without offset for UTC; the empty text is the Unix epoch.

    Raises:
        Failure: it is neither.
    """
    if not text:
        return Timestamp(0)
    return parse_rfc3339(text + "Z" if _LOCAL_TIME.fullmatch(text) else text)


def parse_date(text: str) -> Timestamp:
    """Return the midnight, in UTC, of a text with schema format `date`.

    Raises:
        Failure: it is no date.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        raise Failure(f'invalid date "{text[:64]}": must be YYYY-MM-DD')
    year, month, day = map(int, found.groups())
    if not (year and 1 <= month <= 12 and 1 <= day <= timestamps.days_in_month(year, month)):
        raise Failure(f'invalid date "{text}": out of range')
    return Timestamp(timestamps.days_from_civil(year, month, day) * DAY_S * SECOND)


def parse_duration(text: str) -> Duration:
    """Return the duration of a text in Go's notation: `1h30m`, `-1.5s`.

    Raises:
        Failure: it is none, or beyond int64 nanoseconds.
    """
    try:
        return Duration(durations.parse_duration(text))
    except ValueError as error:
        raise Failure(
            f"type conversion error from 'string' to 'google.protobuf.Duration': {error}"
        ) from error


def parse_worded_duration(text: str) -> Duration:
    """Return the duration of a text with schema format `duration`: `1h30m`, `2 weeks 1 day`.

    Raises:
        Failure: it is neither, or beyond int64 nanoseconds.
    """
    try:
        return Duration(durations.parse_duration(text))
    except ValueError as error:
        total = _worded(text)
        if total is None:
            raise Failure(f'unable to parse "{text[:64]}" as duration: {error}') from error
        return Duration(checked_int(total))


def _worded(text: str) -> int | None:
    total: int | None = None
    for found in _WORDED.finditer(text[:_LONGEST]):
        name = found[2].lower()
        for variants, unit in _WORDS:
            if name in variants or name.startswith(variants[-1]):
                total = (total or 0) + int(found[1]) * unit
    return total


def format_rfc3339(timestamp: Timestamp, *, utc: bool = False, whole_seconds: bool = False) -> str:
    """Return the instant in RFC 3339: in UTC or with its offset, with its fraction or cut."""
    ns = timestamp.ns - timestamp.ns % SECOND if whole_seconds else timestamp.ns
    return timestamps.rfc3339(ns, 0 if utc else timestamp.offset_s)


def format_go_duration(duration: Duration) -> str:
    """Return the duration as Go prints it: `1h30m0s`."""
    return durations.go_duration(duration.ns)


def from_epoch_seconds(seconds: int) -> Timestamp:
    """Return the instant that many seconds after the Unix epoch.

    Raises:
        Failure: it is outside the years 1 to 9999.
    """
    if not timestamps.MIN_S <= seconds <= timestamps.MAX_S:
        raise Failure("timestamp overflow: out of range, not in the years 1 to 9999")
    return Timestamp(seconds * SECOND)


def _milliseconds(timestamp: Timestamp) -> int:
    return timestamp.ns % SECOND // MILLISECOND


def _milliseconds_in_zone(timestamp: Timestamp, zone: str) -> int:
    _offset(timestamp, zone)
    return _milliseconds(timestamp)


def _offset(timestamp: Timestamp, zone: str) -> int:
    try:
        return timestamps.offset_in(zone, timestamp.ns // SECOND)
    except ValueError as error:
        raise Failure(str(error)) from error


def _field(stem: str, read: Callable[[Calendar], int]) -> list[Overload]:
    """Return the overloads that read a field of a timestamp, without and with a time zone."""

    def in_utc(timestamp: Timestamp) -> int:
        return read(timestamps.calendar(timestamp.ns // SECOND))

    def in_zone(timestamp: Timestamp, zone: str) -> int:
        offset_s = _offset(timestamp, zone)
        return read(timestamps.calendar(timestamp.ns // SECOND + offset_s))

    return [
        member(f"timestamp_to_{stem}", TIMESTAMP, result=INT, call=in_utc),
        member(f"timestamp_to_{stem}_with_tz", TIMESTAMP, STRING, result=INT, call=in_zone),
    ]


def _whole(stem: str, unit: int) -> Overload:
    """Return the member that counts the whole units of a duration, cut towards zero."""

    def count(duration: Duration) -> int:
        ns = duration.ns
        return ns // unit if ns >= 0 else -(-ns // unit)

    return member(f"duration_to_{stem}", DURATION, result=INT, call=count)


FUNCTIONS: Final[tuple[Function, ...]] = (
    function("getFullYear", _field("year", lambda at: at.year)),
    function("getMonth", _field("month", lambda at: at.month - 1)),
    function("getDate", _field("day_of_month_1_based", lambda at: at.day)),
    function("getDayOfMonth", _field("day_of_month", lambda at: at.day - 1)),
    function("getDayOfWeek", _field("day_of_week", lambda at: at.weekday)),
    function("getDayOfYear", _field("day_of_year", lambda at: at.day_of_year)),
    function(
        "getHours",
        [*_field("hours", lambda at: at.hour), _whole("hours", HOUR)],
    ),
    function(
        "getMinutes",
        [*_field("minutes", lambda at: at.minute), _whole("minutes", MINUTE)],
    ),
    function(
        "getSeconds",
        [*_field("seconds", lambda at: at.second), _whole("seconds", SECOND)],
    ),
    function(
        "getMilliseconds",
        [
            member("timestamp_to_milliseconds", TIMESTAMP, result=INT, call=_milliseconds),
            member(
                "timestamp_to_milliseconds_with_tz",
                TIMESTAMP,
                STRING,
                result=INT,
                call=_milliseconds_in_zone,
            ),
            _whole("milliseconds", MILLISECOND),
        ],
    ),
)
