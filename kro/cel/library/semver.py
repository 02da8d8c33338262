"""Semantic versions 2.0, strictly: `semver('1.2.3-rc.1+build')` and its members.

Source: semver.org 2.0.0 and the messages of blang/semver v4, as Kubernetes 1.36 uses it; spec:
cel.md §2.9.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final, TypeAlias, final

from kro.cel import celtypes
from kro.cel.celtypes import BOOL, INT, STRING, CelType
from kro.cel.failures import Failure
from kro.cel.functions import Library, free, function, member
from kro.cel.library.comparisons import comparisons
from kro.cel.values import UINT_MAX, checked_int

SEMVER: Final = celtypes.opaque("kubernetes.Semver")

_NUMBER: Final = re.compile(r"[0-9]*")
_IDENTIFIER: Final = re.compile(r"[0-9A-Za-z-]*")
_LONGEST: Final = 10_000

Precedence: TypeAlias = "tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]"
"""Major, minor, patch, whether it is a release, and the pre-release identifiers.

Ordered as versions are: numeric identifiers before others, a pre-release before its release.
"""


@final
class Semver:
    """A version. Equal to another if both have the same precedence: build metadata is ignored."""

    __slots__ = ("precedence",)
    cel_type: ClassVar[CelType] = SEMVER

    def __init__(self, precedence: Precedence) -> None:
        self.precedence = precedence

    def __eq__(self, other: object) -> bool:
        """Return whether both have the same precedence."""
        return isinstance(other, Semver) and self.precedence == other.precedence

    def __hash__(self) -> int:
        """Return a hash that agrees with `==`."""
        return hash(self.precedence)

    def compare(self, other: Semver) -> int:
        """Return -1, 0 or 1 as this version is before, at or after the other."""
        left, right = self.precedence, other.precedence
        return (left > right) - (left < right)


def parse_semver(text: str) -> Semver:
    """Return the version that a text stands for.

    Raises:
        ValueError: it is none; the message says which part is wrong.
    """
    if not text:
        raise ValueError("Version string empty")
    if len(text) > _LONGEST:
        raise ValueError("Version string too long")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise ValueError("No Major.Minor.Patch elements found")
    rest, plus, build = parts[2].partition("+")
    patch, dash, prerelease = rest.partition("-")
    version = (
        _number("Major", "major number", parts[0]),
        _number("Minor", "minor number", parts[1]),
        _number("Patch", "patch number", patch),
    )
    identifiers = tuple(map(_identifier, prerelease.split("."))) if dash else ()
    for word in build.split(".") if plus else ():
        if not word:
            raise ValueError("Build meta data is empty")
        if not _IDENTIFIER.fullmatch(word):
            raise ValueError(f'Invalid character(s) found in build meta data "{word}"')
    return Semver((*version, not dash, identifiers))


def _number(title: str, name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f'Invalid character(s) found in {name} "{text}"')
    if len(text) > 1 and text[0] == "0":
        raise ValueError(f'{title} number must not contain leading zeroes "{text}"')
    if not text:
        raise ValueError(f"{title} number is empty")
    return _uint64(text)


def _uint64(text: str) -> int:
    value = int(text) if len(text) <= len(str(UINT_MAX)) else UINT_MAX + 1
    if value > UINT_MAX:
        raise ValueError(f'"{text[:64]}": value out of range')
    return value


def _identifier(word: str) -> tuple[bool, int, str]:
    if not word:
        raise ValueError("Prerelease is empty")
    if _NUMBER.fullmatch(word):
        if len(word) > 1 and word[0] == "0":
            raise ValueError(f'Numeric PreRelease version must not contain leading zeroes "{word}"')
        return False, _uint64(word), ""
    if not _IDENTIFIER.fullmatch(word):
        raise ValueError(f'Invalid character(s) found in prerelease "{word}"')
    return True, 0, word


def semver(text: str) -> Semver:
    """`semver(string)`.

    Raises:
        Failure: it is none.
    """
    try:
        return parse_semver(text)
    except ValueError as error:
        raise Failure(f"semver parse error during conversion from string: {error}") from error


def is_semver(text: str) -> bool:
    """`isSemver(string)`."""
    try:
        parse_semver(text)
    except ValueError:
        return False
    return True


LIBRARY: Final = Library(
    "kubernetes.semver",
    functions=(
        function("semver", [free("string_to_semver", STRING, result=SEMVER, call=semver)]),
        function("isSemver", [free("is_semver_string", STRING, result=BOOL, call=is_semver)]),
        *(
            function(
                name,
                [
                    member(
                        f"semver_{name}",
                        SEMVER,
                        result=INT,
                        call=lambda version, part=part: checked_int(version.precedence[part]),
                    )
                ],
            )
            for part, name in enumerate(("major", "minor", "patch"))
        ),
        *comparisons("semver", SEMVER),
    ),
)
