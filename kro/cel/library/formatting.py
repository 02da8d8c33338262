"""`format`: `%s %d %f %e %b %x %X %o %%` with a precision, no widths and no flags.

A format string is compiled once into pieces of text and clauses. The same clauses check literal
arguments by their static types when the expression is compiled.

Source: cel-go `ext/strings` version 4 formatting; spec: cel.md §2.6.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kro.cel.budget import charge
from kro.cel.celtypes import LIST_DYN, STRING, CelType, Kind
from kro.cel.failures import Failure
from kro.cel.functions import Library, LiteralProblem, function, member
from kro.cel.library import durations, timestamps
from kro.cel.library.doubles import plain, word
from kro.cel.syntax import Call, ListLiteral, Literal, MapLiteral, Node
from kro.cel.values import Value, is_list, is_map, kind_of, type_name

MAX_PRECISION: Final = 100
_DEFAULT_PRECISION: Final = 6
_MAX_DEPTH: Final = 200
"""Levels of lists in lists that `%s` prints."""


@dataclass(frozen=True, slots=True)
class Clause:
    """What a letter after `%` prints and which kinds it takes."""

    kinds: frozenset[Kind]
    render: Callable[[Value, int], str]
    complaint: str
    """What it can only be used on; the kind that it got follows."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One use of a clause in a format string."""

    clause: Clause
    precision: int


class BadFormat(ValueError):
    """The format string is wrong in itself."""


def _text(value: Value, _precision: int = 0) -> str:
    return _text_at(value, 0)


def _text_at(value: Value, depth: int) -> str:
    kind = type(value)
    if kind is str:
        charge(len(value))
        return str(value)
    render = _SCALARS.get(kind_of(value))
    if render is not None:
        charge(1)
        return render(value)
    if depth >= _MAX_DEPTH:
        raise Failure(f"error during formatting: more than {_MAX_DEPTH} levels of lists or maps")
    if is_list(value):
        charge(len(value))
        return "[" + ", ".join([_text_at(element, depth + 1) for element in value]) + "]"
    if is_map(value):
        charge(len(value))
        entries = [(_key(key), _text_at(item, depth + 1)) for key, item in value.items()]
        entries.sort(key=lambda entry: entry[0])
        return "{" + ", ".join([f"{key}: {item}" for key, item in entries]) + "}"
    raise _refused(TEXT, type_name(value))


def _key(key: Value) -> str:
    if type(key) is float:
        raise Failure("error during formatting: map keys must be strings, bools, ints or uints")
    return _text_at(key, 0)


def _bytes(value: bytes) -> str:
    charge(len(value))
    return value.decode("utf-8", "replace")


_SCALARS: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.STRING: str,
    Kind.BOOL: lambda value: "true" if value else "false",
    Kind.INT: int.__repr__,
    Kind.UINT: int.__repr__,
    Kind.DOUBLE: plain,
    Kind.BYTES: _bytes,
    Kind.NULL: lambda _: "null",
    Kind.TYPE: lambda value: str(value.name),
    Kind.TIMESTAMP: lambda value: timestamps.rfc3339(value.ns),
    Kind.DURATION: lambda value: durations.seconds_text(value.ns),
}


def _decimal(value: Value, _precision: int) -> str:
    return plain(value) if type(value) is float else int.__repr__(value)


def _fixed(value: Value, precision: int) -> str:
    return f"{float(value):.{precision}f}" if math.isfinite(value) else word(value)


def _scientific(value: Value, precision: int) -> str:
    return f"{float(value):.{precision}e}" if math.isfinite(value) else word(value)


def _binary(value: Value, _precision: int) -> str:
    return f"{int(value):b}"


def _octal(value: Value, _precision: int) -> str:
    return f"{int(value):o}"


def _hex(value: Value, _precision: int) -> str:
    if type(value) is str:
        charge(2 * len(value))
        return value.encode("utf-8", "replace").hex()
    if type(value) is bytes:
        charge(2 * len(value))
        return value.hex()
    return f"{int(value):x}"


def _upper_hex(value: Value, precision: int) -> str:
    return _hex(value, precision).upper()


_INTEGERS: Final = frozenset({Kind.INT, Kind.UINT})
_NUMBERS: Final = _INTEGERS | {Kind.DOUBLE}
TEXT: Final = Clause(
    frozenset(_SCALARS) | {Kind.LIST, Kind.MAP},
    _text,
    "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, "
    "durations, and timestamps",
)
_HEX_COMPLAINT: Final = "only integers, byte buffers, and strings can be formatted as hex"
CLAUSES: Final = {
    "s": TEXT,
    "d": Clause(_NUMBERS, _decimal, "decimal clause can only be used on integers"),
    "f": Clause(_NUMBERS, _fixed, "fixed-point clause can only be used on doubles"),
    "e": Clause(_NUMBERS, _scientific, "scientific clause can only be used on doubles"),
    "b": Clause(
        _INTEGERS | {Kind.BOOL}, _binary, "only integers and bools can be formatted as binary"
    ),
    "o": Clause(_INTEGERS, _octal, "octal clause can only be used on integers"),
    "x": Clause(_INTEGERS | {Kind.STRING, Kind.BYTES}, _hex, _HEX_COMPLAINT),
    "X": Clause(_INTEGERS | {Kind.STRING, Kind.BYTES}, _upper_hex, _HEX_COMPLAINT),
}


def _complaint(clause: Clause, got: str) -> str:
    return f"error during formatting: {clause.complaint}, was given {got}"


def _refused(clause: Clause, got: str) -> Failure:
    return Failure(_complaint(clause, got))


@functools.lru_cache(maxsize=1024)
def parse_format(text: str) -> tuple[str | Directive, ...]:
    """Return a format string as literal texts and directives, in their order.

    Raises:
        BadFormat: a `%` is not followed by a known clause.
    """
    pieces: list[str | Directive] = []
    literal: list[str] = []
    at = 0
    while True:
        percent = text.find("%", at)
        if percent < 0:
            literal.append(text[at:])
            break
        literal.append(text[at:percent])
        at = percent + 1
        if text[at : at + 1] == "%":
            literal.append("%")
            at += 1
            continue
        precision, at = _precision(text, at)
        if at >= len(text):
            raise BadFormat("could not parse formatting clause: unexpected end of string")
        clause = CLAUSES.get(text[at])
        if clause is None:
            raise BadFormat(
                f'could not parse formatting clause: unrecognized formatting clause "{text[at]}"'
            )
        at += 1
        if before := "".join(literal):
            pieces.append(before)
        literal.clear()
        pieces.append(Directive(clause, precision))
    if after := "".join(literal):
        pieces.append(after)
    return tuple(pieces)


def _precision(text: str, at: int) -> tuple[int, int]:
    if text[at : at + 1] != ".":
        return _DEFAULT_PRECISION, at
    end = at + 1
    while end < len(text) and "0" <= text[end] <= "9":
        end += 1
    if end == len(text):
        raise BadFormat(
            "could not parse formatting clause: unexpected end of string: "
            "could not find end of precision specifier"
        )
    digits = text[at + 1 : end]
    if not digits:
        raise BadFormat(
            "could not parse formatting clause: error while converting precision to integer"
        )
    if len(digits) > 9 or int(digits) > MAX_PRECISION:
        raise BadFormat(
            f"could not parse formatting clause: precision {digits[:9]} exceeds {MAX_PRECISION}"
        )
    return int(digits), end


def _format(text: str, arguments: Sequence[Value]) -> str:
    charge(len(text))
    try:
        # A long format string is computed data, not a pattern that is worth keeping.
        pieces = parse_format(text) if len(text) <= 1000 else parse_format.__wrapped__(text)
    except BadFormat as error:
        raise Failure(str(error)) from error
    index = 0
    out: list[str] = []
    for piece in pieces:
        if type(piece) is str:
            out.append(piece)
            continue
        assert isinstance(piece, Directive)
        if index >= len(arguments):
            raise Failure(f"index {index} out of range")
        value = arguments[index]
        index += 1
        if kind_of(value) not in piece.clause.kinds:
            raise _refused(piece.clause, type_name(value))
        out.append(piece.clause.render(value, piece.precision))
    result = "".join(out)
    charge(len(result))
    return result


def _check(call: Call, type_at: Callable[[Node], CelType], report: LiteralProblem) -> None:
    """Check a literal format string against a literal list of arguments by their static types."""
    if not (isinstance(call.target, Literal) and isinstance(call.target.value, str)):
        return
    if len(call.args) != 1 or not isinstance(call.args[0], ListLiteral):
        return
    arguments = call.args[0]
    if arguments.optional:
        return
    try:
        pieces = parse_format.__wrapped__(call.target.value)
    except BadFormat as error:
        report(call.target, str(error))
        return
    directives = [piece for piece in pieces if isinstance(piece, Directive)]
    for index, directive in enumerate(directives):
        if index >= len(arguments.elements):
            report(call.target, f"index {index} out of range")
            return
        element = arguments.elements[index]
        problem = _literal_misfit(directive.clause, element, type_at)
        if problem:
            report(element, problem)
    surplus = len(arguments.elements) - len(directives)
    if surplus > 0:
        report(
            arguments.elements[len(directives)],
            "too many arguments supplied to string.format "
            f"(expected {len(directives)}, got {len(arguments.elements)})",
        )


_UNKNOWN: Final = frozenset({Kind.DYN, Kind.PARAM, Kind.VARIABLE, Kind.ERROR})


def _literal_misfit(clause: Clause, node: Node, type_at: Callable[[Node], CelType]) -> str:
    """Return what is wrong with an argument, by its parts where it is written out."""
    parts: list[Node] = []
    if isinstance(node, ListLiteral) and not node.optional:
        parts = node.elements
    elif isinstance(node, MapLiteral) and not any(entry.optional for entry in node.entries):
        parts = [part for entry in node.entries for part in (entry.key, entry.value)]
    if not parts or type_at(node).kind not in clause.kinds:
        return _misfit(clause, type_at(node))
    problems = (_literal_misfit(clause, part, type_at) for part in parts)
    return next((problem for problem in problems if problem), "")


def _misfit(clause: Clause, got: CelType) -> str:
    if got.kind in _UNKNOWN:
        return ""
    if got.kind not in clause.kinds:
        return _complaint(clause, str(got))
    if got.kind in (Kind.LIST, Kind.MAP):
        for part in got.params:
            if problem := _misfit(clause, part):
                return problem
    return ""


LIBRARY: Final = Library(
    "strings.format",
    functions=(
        function(
            "format",
            [member("string_format", STRING, LIST_DYN, result=STRING, call=_format)],
            check=_check,
        ),
    ),
)
