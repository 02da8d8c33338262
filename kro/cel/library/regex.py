"""Regular expressions in RE2 syntax: `matches`, `find`, `findAll`.

RE2 takes time linear in the text and bounds the memory of a pattern, which no backtracking engine
does. Texts are matched as UTF-8 bytes: positions then need no translation.

Source: Go's `regexp` (the reference's engine, of the same syntax); spec: cel.md §2.4, §2.9.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Final, Protocol

import re2

from kro.cel.budget import charge
from kro.cel.celtypes import BOOL, INT, STRING, CelType, list_of
from kro.cel.failures import Failure
from kro.cel.functions import Function, Library, LiteralProblem, free, function, member
from kro.cel.syntax import Call, Literal, Node

_MAX_PATTERN: Final = 10_000
"""Characters of a pattern."""
_MAX_PATTERN_MEMORY: Final = 4 * 2**20
"""Bytes of one compiled pattern, the automaton that grows while matching included."""
_KEPT_PATTERNS: Final = 64
_SCAN_UNIT: Final = 64
"""Bytes that RE2 scans in about the time of one unit of the evaluation budget."""
_ANY_BYTE: Final = re.compile(r"(?:[^\\]|\\[^CQ]|\\Q.*?(?:\\E|$))*\\C", re.DOTALL)

_UNANCHORED: Final = re2._re2.RE2.Anchor.UNANCHORED


class BadPattern(ValueError):
    """The pattern is no RE2 expression; the message is the one to show."""


class Pattern(Protocol):
    """A compiled expression. `spans[0]` of `Match` is the whole match, (-1, -1) for none."""

    def Match(  # noqa: N802 - the name of RE2's method
        self, anchor: object, text: bytes, start: int, end: int
    ) -> tuple[tuple[int, int], ...]:
        """Return the spans of the leftmost match within text[start:end]."""


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MAX_PATTERN_MEMORY
    return options


_OPTIONS: Final = _options()


@functools.lru_cache(maxsize=_KEPT_PATTERNS)
def compile_pattern(pattern: str) -> Pattern:
    """Return the compiled pattern.

    Raises:
        BadPattern: it is none.
    """
    if len(pattern) > _MAX_PATTERN:
        raise BadPattern(f"error parsing regexp: longer than {_MAX_PATTERN} characters")
    if _ANY_BYTE.match(pattern):  # matches half a character, which no string can hold
        raise BadPattern(r"error parsing regexp: invalid escape sequence: `\C`")
    compiled = re2._re2.RE2(pattern.encode("utf-8", "replace"), _OPTIONS)
    if not compiled.ok():
        detail = compiled.error()
        text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        raise BadPattern(f"error parsing regexp: {text}")
    return compiled  # type: ignore[no-any-return]


def _compiled(pattern: str) -> Pattern:
    try:
        return compile_pattern(pattern)
    except BadPattern as error:
        raise Failure(str(error)) from error


def matches(text: str, pattern: str) -> bool:
    """`matches`: whether the pattern matches anywhere in the text.

    Raises:
        Failure: the pattern is none.
    """
    regexp = _compiled(pattern)
    raw = text.encode("utf-8", "replace")
    charge(len(raw) // _SCAN_UNIT)
    return regexp.Match(_UNANCHORED, raw, 0, len(raw))[0][0] >= 0


def _find(text: str, pattern: str) -> str:
    found = _find_all(text, pattern, 1)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    """Return the non-overlapping matches from the left, at most `limit` unless it is negative.

    An empty match right after a match does not count.
    """
    regexp = _compiled(pattern)
    raw = text.encode("utf-8", "replace")
    size = len(raw)
    out: list[str] = []
    at, previous_end = 0, -1
    while at <= size and len(out) != limit:
        start, end = regexp.Match(_UNANCHORED, raw, at, size)[0]
        # RE2 may look at the whole rest to decide on one match.
        charge(1 + (size - at) // _SCAN_UNIT)
        if start < 0:
            break
        accepted = end > at or start != previous_end
        if end > at:
            at = end
        else:
            at += _width(raw, at)
        previous_end = end
        if accepted:
            out.append(raw[start:end].decode("utf-8"))
    return out


def _width(raw: bytes, at: int) -> int:
    """Return the bytes of the character at `at`; 1 at the end."""
    if at >= len(raw) or raw[at] < 0x80:
        return 1
    return 2 if raw[at] < 0xE0 else 3 if raw[at] < 0xF0 else 4


def _check(call: Call, _type_at: Callable[[Node], CelType], report: LiteralProblem) -> None:
    """Report a literal pattern that is none."""
    pattern = call.args[0] if call.args else None
    if isinstance(pattern, Literal) and isinstance(pattern.value, str):
        try:
            compile_pattern(pattern.value)
        except BadPattern as error:
            report(pattern, str(error))


MATCHES: Final[Function] = function(
    "matches",
    [
        free("matches", STRING, STRING, result=BOOL, call=matches),
        member("matches_string", STRING, STRING, result=BOOL, call=matches),
    ],
)
LIBRARY: Final = Library(
    "kubernetes.regex",
    functions=(
        function(
            "find",
            [member("string_find_string", STRING, STRING, result=STRING, call=_find)],
            check=_check,
        ),
        function(
            "findAll",
            [
                member(
                    "string_find_all_string",
                    STRING,
                    STRING,
                    result=list_of(STRING),
                    call=_find_all,
                ),
                member(
                    "string_find_all_string_int",
                    STRING,
                    STRING,
                    INT,
                    result=list_of(STRING),
                    call=_find_all,
                ),
            ],
            check=_check,
        ),
    ),
)
