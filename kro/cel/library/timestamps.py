"""Instants as text and as calendar fields, for the years 1 to 9999 and to the nanosecond.

`datetime` knows neither nanoseconds nor the local years 0 and 10000 that an offset can lead to, so
the calendar is computed here; only the rules of time zones come from `zoneinfo`.

Source: Go's `time.Parse(RFC3339)` and `Format(RFC3339Nano)`; spec: cel.md §2.4, §5.3.
"""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from kro.cel.library.durations import SECOND

MIN_S: Final = -62_135_596_800
"""0001-01-01T00:00:00Z in seconds since the Unix epoch."""
MAX_S: Final = 253_402_300_799
"""9999-12-31T23:59:59Z in seconds since the Unix epoch."""
MIN_NS: Final = MIN_S * SECOND
MAX_NS: Final = MAX_S * SECOND + SECOND - 1
DAY_S: Final = 86_400

_RFC3339: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_OFFSET: Final = re.compile(r"([+-]?)([0-9]+):([0-9]+)")
_LONGEST: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CUMULATED: Final = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


class Calendar(NamedTuple):
    """The fields of an instant in some zone. `month` counts from 1, `weekday` from Sunday, 0."""

    year: int
    month: int
    day: int
    day_of_year: int
    weekday: int
    hour: int
    minute: int
    second: int


def parse_timestamp(text: str) -> tuple[int, int]:
    """Return nanoseconds since the epoch and the offset in seconds of an RFC 3339 text.

    As in Go, a comma may stand for the decimal point, the hour may have one digit, and digits
    beyond nanoseconds are cut.

    Raises:
        ValueError: it is none, or outside the years 1 to 9999 (in UTC).
    """
    found = _RFC3339.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        raise ValueError(f'cannot parse "{text[:64]}" as an RFC 3339 time')
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = found.groups()[6:]
    if not (1 <= month <= 12 and 1 <= day <= days_in_month(year, month)):
        raise ValueError(f'cannot parse "{text}": day out of range')
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(f'cannot parse "{text}": time of day out of range')
    offset_s = 0
    if sign:
        hours, minutes = int(offset_hours), int(offset_minutes)
        if hours > 24 or minutes > 60:
            raise ValueError(f'cannot parse "{text}": time zone offset out of range')
        offset_s = hours * 3600 + minutes * 60
        if sign == "-":
            offset_s = -offset_s
    seconds = (
        days_from_civil(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset_s
    )
    if not MIN_S <= seconds <= MAX_S:
        raise ValueError("timestamp out of range: not in the years 1 to 9999")
    return seconds * SECOND + int((fraction or "0")[:9].ljust(9, "0")), offset_s


def rfc3339(ns: int, offset_s: int = 0) -> str:
    """Return the instant in RFC 3339 with its offset, the fraction without trailing zeros."""
    seconds, below = divmod(ns, SECOND)
    text = _date_time(seconds + offset_s)
    if below:
        text += f".{below:09d}".rstrip("0")
    return text + _zone_suffix(offset_s)


def _date_time(local_s: int) -> str:
    at = calendar(local_s)
    return (
        f"{at.year:04d}-{at.month:02d}-{at.day:02d}T{at.hour:02d}:{at.minute:02d}:{at.second:02d}"
    )


def _zone_suffix(offset_s: int) -> str:
    minutes = abs(offset_s) // 60
    if not minutes:
        return "Z" if not offset_s else "+00:00"
    return f"{'-' if offset_s < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def calendar(local_s: int) -> Calendar:
    """Return the calendar fields of a local time.

    Units: seconds since 1970-01-01T00:00:00 of that local time; any integer.
    """
    days, of_day = divmod(local_s, DAY_S)
    year, month, day = civil_from_days(days)
    day_of_year = _CUMULATED[month - 1] + day - 1 + (month > 2 and is_leap(year))
    return Calendar(
        year,
        month,
        day,
        day_of_year,
        (days + 4) % 7,
        of_day // 3600,
        of_day // 60 % 60,
        of_day % 60,
    )


def is_leap(year: int) -> bool:
    """Return whether the year has 366 days in the Gregorian calendar."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_month(year: int, month: int) -> int:
    """Return the number of days of a month counted from 1."""
    if month == 2:
        return 29 if is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def days_from_civil(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date of the proleptic Gregorian calendar.

    Years are counted from March, so that the leap day is the last of its year.
    """
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def civil_from_days(days: int) -> tuple[int, int, int]:
    """Return year, month and day of the date that many days after 1970-01-01."""
    era, of_era = divmod(days + 719_468, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year + era * 400 + (month <= 2), month, day


def offset_in(zone: str, seconds: int) -> int:
    """Return how far east of UTC a time zone is at an instant.

    `zone` is an IANA name or `+HH:MM`, `-HH:MM`, `HH:MM`.

    Units: seconds; `seconds` since the Unix epoch.

    Raises:
        ValueError: there is no such zone; the message names it.
    """
    if ":" in zone:
        return _fixed_offset(zone)
    rules = _rules(zone)
    if rules is None:
        return 0
    # Near the ends of the calendar datetime cannot hold the local time; no rule changes there.
    inside = min(max(seconds, MIN_S + 2 * DAY_S), MAX_S - 2 * DAY_S)
    offset = (_EPOCH + timedelta(seconds=inside)).astimezone(rules).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


@functools.lru_cache(maxsize=256)
def _fixed_offset(zone: str) -> int:
    found = _OFFSET.fullmatch(zone) if len(zone) <= 16 else None
    if found is None:
        raise ValueError(_unknown(zone))
    hours, minutes = int(found[2]), int(found[3])
    offset = hours * 60 + minutes
    if abs(offset) > 24 * 60:
        raise ValueError(f'time zone offset out of range: "{zone}"')
    return (-offset if found[1] == "-" else offset) * 60


@functools.lru_cache(maxsize=64)
def _rules(zone: str) -> ZoneInfo | None:
    """Return the rules of an IANA zone, None for UTC itself."""
    if zone in ("", "UTC", "Local"):  # a controller's local time is UTC
        return None
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(_unknown(zone)) from error


def _unknown(zone: str) -> str:
    return f"unknown time zone {zone[:64]}"
