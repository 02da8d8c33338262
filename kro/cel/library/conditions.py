"""Conditions of an instance: `runtime.condition(obj, 'Ready')` and `runtime.newCondition({...})`.

`runtime` is a variable that only conditions expressions have; its methods are declared here.
`newCondition` is a macro, so that its argument's keys can be bare identifiers.

Source: kro's `runtime` library; spec: cel.md §2.10.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, final

from kro.cel import celtypes
from kro.cel.budget import charge
from kro.cel.celtypes import DYN, STRING, CelType, map_of, struct
from kro.cel.failures import Failure, NoSuchKey
from kro.cel.functions import Library, LiteralProblem, Macro, MacroContext, function, member
from kro.cel.syntax import Call, Entry, Ident, Literal, MapLiteral, Node
from kro.cel.values import ObjectValue, Value, is_list, is_map, type_name

FIELDS: Final = ("type", "status", "reason", "message")
STATUSES: Final = ("True", "False", "Unknown")
CONDITION: Final = struct("kro.Condition", dict.fromkeys(FIELDS, STRING))
RUNTIME: Final = celtypes.opaque("kro.Runtime")


@final
class Condition(ObjectValue):
    """A condition as expressions see it: four strings. Only `status.conditions` take it out."""

    __slots__ = ("message", "reason", "status", "type")
    cel_type: ClassVar[CelType] = CONDITION  # type: ignore[misc] # one type for all of them
    native: ClassVar[bool] = False

    def __init__(
        self, type: str = "", status: str = "", reason: str = "", message: str = ""
    ) -> None:
        self.type = type
        self.status = status
        self.reason = reason
        self.message = message

    def __eq__(self, other: object) -> bool:
        """Return whether all four fields are the same."""
        return isinstance(other, Condition) and self.raw == other.raw

    def __hash__(self) -> int:
        """Return a hash that agrees with `==`."""
        return hash(tuple(self.raw.values()))

    def __repr__(self) -> str:
        """Return the fields, for debugging."""
        return f"Condition({self.type!r}, {self.status!r}, {self.reason!r}, {self.message!r})"

    def get(self, name: str) -> str:
        """Return one of the four fields.

        Raises:
            NoSuchKey: there is no other.
        """
        if name not in FIELDS:
            raise NoSuchKey(name)
        return str(getattr(self, name))

    def has(self, name: str) -> bool:
        """Return whether this is one of the four fields."""
        return name in FIELDS

    def names(self) -> Iterable[str]:
        """Return the four fields."""
        return FIELDS

    @property
    def raw(self) -> dict[str, Any]:
        """The fields as a JSON object."""
        return {name: getattr(self, name) for name in FIELDS}


@final
class Runtime:
    """The class of `RUNTIME_VALUE`, the value of the variable `runtime`."""

    __slots__ = ()
    cel_type: ClassVar[CelType] = RUNTIME

    def __repr__(self) -> str:
        """Return the variable's name."""
        return "runtime"


RUNTIME_VALUE: Final = Runtime()


def _condition(_runtime: Runtime, holder: Value, wanted: str) -> Condition:
    """`runtime.condition(obj, type)`: the first entry of that type, or one that is all empty."""
    if not isinstance(holder, ObjectValue) and not is_map(holder):
        raise Failure(f"runtime.condition: must be an object, got {type_name(holder)}")
    status = _member(holder, "status")
    if status is None:
        return Condition()
    if not isinstance(status, ObjectValue) and not is_map(status):
        raise Failure(f"runtime.condition: status must be an object, got {type_name(status)}")
    conditions = _member(status, "conditions")
    if conditions is None:
        return Condition()
    if not is_list(conditions):
        raise Failure(
            f"runtime.condition: status.conditions must be a list, got {type_name(conditions)}"
        )
    charge(len(conditions))
    for entry in conditions:
        if _text(entry, "type") == wanted:
            return Condition(*(_text(entry, name) for name in FIELDS))
    return Condition()


def _member(holder: Value, name: str) -> Value:
    """Return a field or entry, None if it is absent, null, or the holder has none."""
    if isinstance(holder, ObjectValue):
        return holder.get(name) if holder.has(name) else None
    return holder.get(name) if is_map(holder) else None


def _text(entry: Value, name: str) -> str:
    value = _member(entry, name)
    return value if type(value) is str else ""


def _new_condition(_runtime: Runtime, fields: Mapping[str, Value]) -> Condition:
    for name, value in fields.items():
        if type(value) is not str:
            raise Failure(f"runtime.newCondition: {name} must be a string, got {type_name(value)}")
    condition = Condition(**fields)
    if not condition.type:
        raise Failure(_EMPTY_TYPE)
    if condition.status not in STATUSES:
        raise Failure(_wrong_status(condition.status))
    return condition


_EMPTY_TYPE: Final = "runtime.newCondition: type must not be empty"


def _wrong_status(status: str) -> str:
    return f'runtime.newCondition: status must be one of True, False, Unknown (got "{status[:64]}")'


def _check_new_condition(call: Call, _type_at: object, report: LiteralProblem) -> None:
    """Report a literal type that is empty, and a literal status that is none."""
    fields = call.args[0] if call.args else None
    if not isinstance(fields, MapLiteral):
        return
    for entry in fields.entries:
        if not (isinstance(entry.key, Literal) and isinstance(entry.value, Literal)):
            continue
        value = entry.value.value
        if not isinstance(value, str):
            continue
        if entry.key.value == "type" and not value:
            report(entry.value, _EMPTY_TYPE)
        if entry.key.value == "status" and value not in STATUSES:
            report(entry.value, _wrong_status(value))


def _expand_new_condition(context: MacroContext, call: Call) -> Node:
    """Turn the keys of the argument from identifiers into strings."""
    (argument,) = call.args
    if not isinstance(argument, MapLiteral):
        context.fail(argument, "runtime.newCondition: argument must be a map literal")
    entries: list[Entry] = []
    seen: set[str] = set()
    for entry in argument.entries:
        if not isinstance(entry.key, Ident) or entry.key.absolute:
            context.fail(
                entry.key,
                f"runtime.newCondition: keys must be bare identifiers: {', '.join(FIELDS)}",
            )
        name = entry.key.name
        if name not in FIELDS:
            context.fail(
                entry.key,
                f'runtime.newCondition: unknown key "{name}" (allowed: {", ".join(FIELDS)})',
            )
        if name in seen:
            context.fail(entry.key, f'runtime.newCondition: duplicate key "{name}"')
        seen.add(name)
        entries.append(Entry(entry.pos, Literal(entry.key.pos, name), entry.value, entry.optional))
    for name in ("type", "status"):
        if name not in seen:
            context.fail(argument, f"runtime.newCondition: '{name}' is required")
    return Call(call.pos, "@newCondition", [MapLiteral(argument.pos, entries)], call.target)


LIBRARY: Final = Library(
    "kro.runtime",
    functions=(
        function(
            "condition",
            [member("runtime_condition", RUNTIME, DYN, STRING, result=CONDITION, call=_condition)],
        ),
        function(
            "@newCondition",
            [
                member(
                    "runtime_new_condition",
                    RUNTIME,
                    map_of(STRING, STRING),
                    result=CONDITION,
                    call=_new_condition,
                )
            ],
            check=_check_new_condition,
        ),
    ),
    macros=(Macro("newCondition", 1, _expand_new_condition, namespace="runtime"),),
)
