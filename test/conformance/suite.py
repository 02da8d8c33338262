"""What a conformance suite is made of: a module in `suites/` exports `SUITE` or `SUITES`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """One case: a unique name within its suite, and whatever its file says about it."""

    name: str
    data: Any


@dataclass(frozen=True, slots=True)
class Skip:
    """The case cannot be run, for a reason that `docs/cel.md` lists."""

    reason: str


class Mismatch(Exception):
    """The outcome is not the expected one; the message says both."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Cases of one file, or of the files of one folder if `file` is empty.

    Shape: `load` gets the parsed document (for a folder: its path). `run` returns None if the case
    passes, raises `Mismatch` if it does not; any other exception fails the case, too.
    """

    name: str
    file: str
    load: Callable[[Any], Iterable[Case]]
    run: Callable[[Case], Skip | None]


def expect(wanted: object, got: object, what: str = "value") -> None:
    """Raise `Mismatch` unless both are equal and of the same JSON kind, at any depth."""
    if not same(wanted, got):
        raise Mismatch(f"{what}: expected {wanted!r}, got {got!r}")


def same(wanted: object, got: object) -> bool:
    """Return whether two JSON values are equal with kinds: 2, 2.0 and true are three values."""
    if type(wanted) is not type(got):
        return False
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(same(wanted[key], got[key]) for key in wanted)
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(same, wanted, got))
    if isinstance(wanted, float) and wanted != wanted:
        return got != got
    return wanted == got
