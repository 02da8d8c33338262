"""Instants as text and as calendar fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel.library.times import format_rfc3339
from kro.cel.library.timestamps import (
    DAY_S,
    MAX_NS,
    MAX_S,
    MIN_NS,
    MIN_S,
    calendar,
    civil_from_days,
    days_from_civil,
    offset_in,
    parse_timestamp,
    rfc3339,
)
from kro.cel.values import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONES = ("America/New_York", "Asia/Kathmandu", "Australia/Sydney", "Europe/Dublin", "UTC")


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        pytest.param("2024-01-15T10:30:45Z", "2024-01-15T10:30:45Z", id="UTC"),
        pytest.param("2024-01-15T10:30:45+00:00", "2024-01-15T10:30:45Z", id="zero offset"),
        pytest.param("2024-01-15T10:30:45+05:30", "2024-01-15T10:30:45+05:30", id="offset kept"),
        pytest.param("2024-01-15T10:30:45.120Z", "2024-01-15T10:30:45.12Z", id="zeros dropped"),
        pytest.param("2024-01-15T10:30:45,5Z", "2024-01-15T10:30:45.5Z", id="comma"),
        pytest.param("2024-01-15T1:30:45Z", "2024-01-15T01:30:45Z", id="hour of one digit"),
        pytest.param("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", id="leap day"),
        pytest.param("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", id="first"),
        pytest.param(
            "9999-12-31T23:59:59.9999999999Z", "9999-12-31T23:59:59.999999999Z", id="last"
        ),
        pytest.param("0000-12-31T23:00:00-05:00", "0000-12-31T23:00:00-05:00", id="local year 0"),
    ],
)
def test_rfc3339_is_read_and_printed(text: str, printed: str) -> None:
    """Go's RFC3339 texts read as Go reads them and print with their offset."""
    assert rfc3339(*parse_timestamp(text)) == printed


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2024-01-15", id="date alone"),
        pytest.param("2024-01-15T10:30:45", id="no offset"),
        pytest.param("2024-01-15 10:30:45Z", id="blank instead of T"),
        pytest.param("2024-01-15t10:30:45z", id="lower case"),
        pytest.param("2023-02-29T00:00:00Z", id="no such day"),
        pytest.param("2024-13-01T00:00:00Z", id="no such month"),
        pytest.param("2024-01-15T24:00:00Z", id="no such hour"),
        pytest.param("2024-01-15T10:30:60Z", id="leap second"),
        pytest.param("2024-01-15T10:30:45.Z", id="point without digits"),
        pytest.param("2024-01-15T10:30:45+25:00", id="no such offset"),
        pytest.param("0000-01-01T00:00:00Z", id="before the first"),
        pytest.param("10000-01-01T00:00:00Z", id="after the last"),
        pytest.param("9999-12-31T23:59:59-01:00", id="after the last in UTC"),
        pytest.param("", id="empty"),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    """What is no RFC 3339 time within the years 1 to 9999 is an error."""
    with pytest.raises(ValueError, match=r"cannot parse|out of range"):
        parse_timestamp(text)


def test_results_are_whole_seconds_cut_downwards() -> None:
    """A fraction is cut, before the epoch as after it."""

    def cut(ns: int) -> str:
        return format_rfc3339(Timestamp(ns), utc=True, whole_seconds=True)

    assert cut(1_500_000_000) == "1970-01-01T00:00:01Z"
    assert cut(-500_000_000) == "1969-12-31T23:59:59Z"


@given(st.integers(MIN_NS, MAX_NS), st.integers(-14 * 60, 14 * 60))
def test_printed_instants_read_back_as_themselves(ns: int, offset_minutes: int) -> None:
    """The text keeps instant and offset, as long as its year has four digits."""
    local_s = ns // 10**9 + offset_minutes * 60
    if not MIN_S - 366 * DAY_S <= local_s <= MAX_S:
        return
    assert parse_timestamp(rfc3339(ns, offset_minutes * 60)) == (ns, offset_minutes * 60)


@given(st.integers(MIN_S, MAX_S))
def test_calendar_fields_agree_with_datetime(seconds: int) -> None:
    """The calendar is the proleptic Gregorian one that datetime has."""
    model = _EPOCH + timedelta(seconds=seconds)

    at = calendar(seconds)

    assert at[:3] == (model.year, model.month, model.day)
    assert at[5:] == (model.hour, model.minute, model.second)
    assert at.day_of_year == model.timetuple().tm_yday - 1
    assert at.weekday == model.isoweekday() % 7


@given(st.integers(-(10**9), 10**9))
def test_days_and_dates_are_inverse(days: int) -> None:
    """Every day has one date, and the date leads back to it."""
    assert days_from_civil(*civil_from_days(days)) == days


@given(st.integers(MIN_S + 2 * DAY_S, MAX_S - 2 * DAY_S), st.sampled_from(_ZONES))
def test_zone_offsets_agree_with_zoneinfo(seconds: int, zone: str) -> None:
    """Offsets follow the rules of the zone at that very instant."""
    offset = (_EPOCH + timedelta(seconds=seconds)).astimezone(ZoneInfo(zone)).utcoffset()

    assert offset is not None
    assert offset_in(zone, seconds) == round(offset.total_seconds())


@pytest.mark.parametrize("seconds", [MIN_S, MAX_S])
@pytest.mark.parametrize("zone", _ZONES)
def test_zones_work_at_both_ends_of_time(zone: str, seconds: int) -> None:
    """The first and the last instant have an offset too."""
    assert abs(offset_in(zone, seconds)) < DAY_S


@pytest.mark.parametrize(
    ("zone", "offset_s"),
    [
        pytest.param("+05:30", 19_800, id="east"),
        pytest.param("-09:30", -34_200, id="west"),
        pytest.param("02:00", 7_200, id="no sign"),
        pytest.param("-00:00", 0, id="zero"),
        pytest.param("", 0, id="empty is UTC"),
    ],
)
def test_fixed_offsets_are_read(zone: str, offset_s: int) -> None:
    """An offset may stand in place of a zone's name."""
    assert offset_in(zone, 0) == offset_s


@pytest.mark.parametrize(
    "zone",
    [
        pytest.param("Bad/Zone", id="unknown"),
        pytest.param("America", id="a folder of zones"),
        pytest.param("../etc/passwd", id="outside of the folder"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("tzdata.zi", id="no zone file"),
        pytest.param("a\0b", id="NUL"),
        pytest.param("x" * 10_000, id="long"),
        pytest.param("\ud800", id="half a character"),
    ],
)
def test_unknown_zones_are_refused(zone: str) -> None:
    """Whatever is no zone is an error that names it, and no file is read."""
    with pytest.raises(ValueError, match="unknown time zone"):
        offset_in(zone, 0)


@pytest.mark.parametrize("zone", ["25:00", "1:", ":30", "a:b", "+1:2:3"])
def test_malformed_offsets_are_refused(zone: str) -> None:
    """An offset is hours and minutes, and at most a day."""
    with pytest.raises(ValueError, match="time zone"):
        offset_in(zone, 0)
