"""Compares kro's CEL with cel-expr-python (the C++ implementation) on random expressions.

Values, static types and error classes must agree. Where both differ by a rule of kro's
specification, the rule is named and counted; everything else is printed and fails the run.
"""

from __future__ import annotations

import datetime as dt
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

from fuzz.expressions import VARIABLES, Generator, bindings
from kro.cel import celtypes
from kro.cel.celtypes import CelType, Kind
from kro.cel.environment import Environment
from kro.cel.failures import BudgetExceeded, DataMissing, Failure
from kro.cel.values import Value, kind_of
from kro.errors import AuthorErrors

_TYPES: Final[dict[str, tuple[CelType, Any]]] = {
    "int": (celtypes.INT, cel.Type.INT),
    "double": (celtypes.DOUBLE, cel.Type.DOUBLE),
    "string": (celtypes.STRING, cel.Type.STRING),
    "bool": (celtypes.BOOL, cel.Type.BOOL),
    "list(int)": (celtypes.list_of(celtypes.INT), cel.Type.List(cel.Type.INT)),
    "list(string)": (celtypes.list_of(celtypes.STRING), cel.Type.List(cel.Type.STRING)),
    "map(string, int)": (
        celtypes.map_of(celtypes.STRING, celtypes.INT),
        cel.Type.Map(cel.Type.STRING, cel.Type.INT),
    ),
    "map(string, string)": (
        celtypes.map_of(celtypes.STRING, celtypes.STRING),
        cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    ),
    "dyn": (celtypes.DYN, cel.Type.DYN),
}
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an expression: `compile`, `pending`, `runtime`, or `value` and the value."""

    result: str
    value: Any = None
    text: str = ""
    type: str = ""


@dataclass
class Tally:
    """Counts of one run."""

    results: Counter[str] = field(default_factory=Counter)
    explained: Counter[str] = field(default_factory=Counter)
    disagreements: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count what another run has counted, too."""
        self.results += other.results
        self.explained += other.explained
        self.disagreements += other.disagreements


def run(seed: int, count: int, deadline: float) -> Tally:
    """Compare up to `count` expressions until the clock shows `deadline`."""
    source = random.Random(seed)
    generator = Generator(source)
    ours = Environment({name: _TYPES[type_][0] for name, type_ in VARIABLES.items()})
    theirs = cel.NewEnv(
        variables={name: _TYPES[type_][1] for name, type_ in VARIABLES.items()},
        extensions=[
            ext_strings.ExtStrings(),
            ext_optional.ExtOptional(),
            ext_bindings.ExtBindings(),
        ],
    )
    tally = Tally()
    for _ in range(count):
        if time.monotonic() >= deadline:
            break
        expression = generator.expression()
        data = bindings(source)
        mine = _ours(ours, expression, data)
        other = _theirs(theirs, expression, data)
        tally.results[mine.result] += 1
        if _agree(mine, other):
            continue
        rule = next((name for name, holds in RULES.items() if holds(expression, mine, other)), None)
        if rule is not None:
            tally.explained[rule] += 1
        else:
            names = set(re.findall(r"\w+", expression))
            used = {name: value for name, value in data.items() if name in names}
            tally.disagreements.append(
                f"{expression}\n  kro: {mine}\n  c++: {other}\n  with {used}"
            )
    return tally


def _agree(mine: Outcome, other: Outcome) -> bool:
    if mine.result != other.result:
        return False
    if mine.result == "compile":
        return True
    return mine.type == other.type and (mine.result != "value" or mine.value == other.value)


def _ours(environment: Environment, expression: str, data: dict[str, Any]) -> Outcome:
    try:
        compiled = environment.compile(expression)
    except AuthorErrors as errors:
        return Outcome("compile", text=str(errors))
    type_ = _type_name(str(compiled.type))
    try:
        return Outcome("value", _mine(compiled.value(data)), type=type_)
    except DataMissing as missing:
        return Outcome("pending", text=missing.problem, type=type_)
    except (Failure, BudgetExceeded) as failure:
        return Outcome("runtime", text=failure.problem, type=type_)


def _mine(value: Value) -> Any:
    kind = kind_of(value)
    if kind is Kind.LIST:
        return ("list", [_mine(one) for one in value])
    if kind is Kind.MAP:
        return ("map", {repr(_mine(key)): _mine(one) for key, one in value.items()})
    if kind is Kind.TIMESTAMP:
        return ("timestamp", value.ns // 1000)
    if kind is Kind.DURATION:
        return ("duration", _truncated(value.ns))
    if kind is Kind.DOUBLE:
        return ("double", repr(value))
    if kind is Kind.TYPE:
        return ("type", value.name)
    if kind is Kind.OPTIONAL:
        return ("optional", _mine(value.content) if value.has_value else None)
    return (kind.value, value)


def _truncated(ns: int) -> int:
    return ns // 1000 if ns >= 0 else -(-ns // 1000)


_CODES: Final = re.compile(r"NOT_FOUND|Index error: index=|index out of bounds|no such key")


def _theirs(environment: Any, expression: str, data: dict[str, Any]) -> Outcome:
    try:
        compiled = environment.compile(expression)
    except RuntimeError as error:
        return Outcome("compile", text=str(error))
    type_ = _type_name(str(compiled.return_type()))
    try:
        result = compiled.eval(data=data)
    except RuntimeError as error:
        return Outcome("runtime", text=str(error), type=type_)
    if str(result.type()) == "ERROR":
        text = str(result.value())
        return Outcome("pending" if _CODES.search(text) else "runtime", text=text, type=type_)
    return Outcome("value", _other(result), type=type_)


def _other(result: Any) -> Any:
    kind = str(result.type())
    value = result.value()
    if kind.startswith("LIST"):
        return ("list", [_other(one) for one in list(value)])
    if kind.startswith("MAP"):
        entries = dict(value)
        return ("map", {repr(_other_key(key)): _other(one) for key, one in entries.items()})
    if kind == "TIMESTAMP":
        return ("timestamp", (value - _EPOCH) // _MICROSECOND)
    if kind == "DURATION":
        return ("duration", value // _MICROSECOND)
    if kind == "DOUBLE":
        return ("double", repr(value))
    if kind.startswith("NULL"):
        return ("null_type", None)
    if kind == "BYTES":
        return ("bytes", bytes(value))
    if kind in {"INT", "UINT", "BOOL", "STRING"}:
        return (kind.lower(), value)
    return (kind, repr(value))


def _other_key(key: Any) -> Any:
    return _other(key) if hasattr(key, "type") else _mine(key)


_NAMES: Final = {
    "google.protobuf.timestamp": "timestamp",
    "google.protobuf.duration": "duration",
    "null_type": "null",
    "optional_type": "optional",
}


def _type_name(name: str) -> str:
    """Return a common spelling of a type's name in both implementations."""
    name = name.lower().replace("<", "(").replace(">", ")")
    for long, short in _NAMES.items():
        name = name.replace(long, short)
    return name


Rule = Callable[[str, Outcome, Outcome], bool]


_OF_SCALAR: Final = re.compile(r"dy\.\?|dy\[\?|has\(dy")
_LISTS: Final = re.compile(r"\.(indexOf|lastIndexOf|reverse)\(")
_NO_LISTS: Final = re.compile(
    r"overload for '(indexOf|lastIndexOf|reverse)' applied to '\((list|dyn)"
    r"|No matching overloads found : \(list\)\.(indexOf|lastIndexOf|reverse)\("
)
_NO_ORDER: Final = re.compile(
    r"overload for '_[<>]=?_' applied to '\((int|uint|double), (int|uint|double)\)'"
)
_MACRO: Final = re.compile(r"\.(all|exists|exists_one|map|filter|optMap)\(|cel\.bind\(")


def _unordered(value: Any) -> Any:
    """Return a value that does not depend on the order of lists."""
    kind, content = value
    if kind == "list":
        return (kind, sorted(repr(_unordered(one)) for one in content))
    if kind == "map":
        return (kind, sorted((key, repr(_unordered(one))) for key, one in content.items()))
    return value


def _other_says(pattern: str, *mine: str) -> Rule:
    """Return the rule for results of kro's where the C++ error text has the pattern."""
    found = re.compile(pattern)
    return lambda _, one, two: (
        one.result in mine and two.result == "runtime" and bool(found.search(two.text))
    )


RULES: Final[dict[str, Rule]] = {
    "§5.4: selecting from a scalar is pending, `has` of it false, `.?` of it none": _other_says(
        r"Applying SELECT to non-message type|Invalid container type"
        r"|No matching overloads found : _(\?\._|\[\?_\])\(",
        "pending",
        "value",
    ),
    "§5.4, §2.2: the same beside an error that a false or true operand absorbs": (
        lambda text, one, two: (
            one.result == "value" and two.result == "runtime" and bool(_OF_SCALAR.search(text))
        )
    ),
    "§2.1: equal keys in a map literal are allowed, the last one wins": _other_says(
        "duplicate key in map", "value", "pending", "runtime"
    ),
    "§2.4: int(duration) gives nanoseconds": _other_says(
        r"No matching overloads found : int\(duration\)", "value", "pending", "runtime"
    ),
    "§5.4: a key that no map can have is not there": _other_says("Invalid map key type", "pending"),
    "§2.7, §2.9: kro's lists have indexOf, lastIndexOf and reverse": (
        lambda text, one, two: (
            bool(_LISTS.search(text))
            and (
                bool(_NO_LISTS.search(two.text))
                or (one.result == two.result and one.value == two.value and "dyn" in one.type)
            )
        )
    ),
    "§2.6: positions count code points, and the end of the text is one": (
        lambda text, one, two: (
            "substring(" in text
            and one.type == two.type
            and ("substring" in two.text or "index out of range" in one.text)
        )
    ),
    "cel-go: NaN has no order": (lambda _, one, two: "NaN values cannot be ordered" in one.text),
    "cel-go: behind a macro, kinds of numbers are ordered among each other": (
        lambda text, one, two: (
            two.result == "compile"
            and bool(_NO_ORDER.search(two.text))
            and bool(_MACRO.search(text))
        )
    ),
    "cel-go: null and bytes are no keys, which a literal shows at once": (
        lambda _, one, two: one.result == "compile" and "invalid qualifier type" in one.text
    ),
    "cel-go: a type that nothing determines is that of the first overload of cel-go": (
        lambda text, one, two: (
            "-(" in text
            and one.result == two.result
            and one.type.replace("double", "int") == two.type.replace("double", "int")
        )
    ),
    "cel-go: what cannot be a key is in no map": _other_says(
        "No matching overloads found : @in", "value"
    ),
    "cel-go: the first failing operand of && and || speaks": (
        lambda text, one, two: (
            one.text == "no such overload"
            and two.result == "pending"
            and ("||" in text or "&&" in text)
        )
    ),
    "§2.4: there is no duration(int)": (
        lambda _, one, two: (
            one.result == "compile" and "overload for 'duration' applied to '(int)'" in one.text
        )
    ),
    "§2.2: the order of a map's entries is not specified": (
        lambda _, one, two: (
            one.result == two.result == "value"
            and one.type == two.type
            and _unordered(one.value) == _unordered(two.value)
        )
    ),
    "cel-go: a map literal with a dyn value has dyn values": (
        lambda text, one, two: (
            one.result == two.result
            and "{" in text
            and "dyn" in one.type
            and one.type != two.type
            and (one.result != "value" or one.value == two.value)
        )
    ),
    "§2.4: string(timestamp) keeps its offset, fractions have no trailing zeros": (
        lambda text, one, two: (
            one.result == two.result == "value"
            and "string(" in text
            and ("timestamp(" in text or "duration(" in text)
        )
    ),
}
"""Why kro is right where both differ: a section of spec cel.md, or what cel-go does."""
