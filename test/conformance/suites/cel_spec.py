"""The conformance tests of the language (cel-spec), but for those that need protocol buffers.

They run in an environment that has the extensions that kro's lacks: mathematics, network addresses,
type names, `cel.block`, comparisons across number kinds.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from conformance.suite import Case, Mismatch, Skip, Suite
from kro.cel import access, celtypes, library, values
from kro.cel.celtypes import CelType
from kro.cel.environment import Dialect, Environment, Vocabulary
from kro.cel.failures import BudgetExceeded, Failure, NoSuchKey
from kro.cel.functions import Function, Library, Overload
from kro.cel.library import network
from kro.cel.macros import BLOCK, MACROS
from kro.cel.operators import CROSS_TYPE_COMPARISONS, OPERATORS
from kro.cel.values import Duration, Timestamp, TypeValue, Uint, Value, equal, kind_of, map_from
from kro.errors import AuthorErrors

NEEDS_PROTOBUF: Final = "needs protocol buffers"


def _libraries() -> tuple[Library, ...]:
    """Return kro's libraries with the extensions, two of which stand in for one of kro's each."""
    extensions = library.EXTENSIONS
    replaced = {network.LIBRARY.name, extensions["strings"].name}
    kept = [one for one in (library.STANDARD, *library.KRO) if one.name not in replaced]
    return (OPERATORS, CROSS_TYPE_COMPARISONS, MACROS, BLOCK, *kept, *extensions.values())


def _strict_map(entries: list[tuple[Value, Value]]) -> Value:
    """Make the map of a literal as cel-spec has it: no double as key, no key twice."""
    if any(type(key) not in {str, int, Uint, bool} for key, _ in entries):
        raise Failure("unsupported key type")
    made = map_from(entries)
    if len(made) < len(entries):
        raise Failure("Failed with repeated key")
    return made


def _strict_find(operand: Value, key: Value) -> values.Optional:
    """Look up an optional as cel-spec has it: what has no fields fails, it is not just empty."""
    if type(operand) is values.Optional:
        return _strict_find(operand.content, key) if operand.has_value else operand
    if kind_of(operand) not in {celtypes.Kind.MAP, celtypes.Kind.LIST, celtypes.Kind.STRUCT}:
        raise NoSuchKey(key)
    return access.find(operand, key)


def _strict_select(operand: Value, field: str) -> Value:
    return (_strict_find if type(operand) is values.Optional else access.select)(operand, field)


_OPERATIONS: Final = {
    "literal_map": _strict_map,
    "find": _strict_find,
    "select": _strict_select,
}


def load(folder: Any) -> Iterable[Case]:
    """Return the cases of all JSON files in a folder."""
    for path in sorted(Path(folder).glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for test in document["tests"]:
            section = test.get("section", "")
            yield Case(f"{document['name']}/{section}/{test['name']}", test)


def run(case: Case) -> Skip | None:
    """Compile and evaluate one case."""
    test = case.data
    if test.get("needs_protobuf"):
        return Skip(NEEDS_PROTOBUF)
    expected_error = "eval_error" in test
    try:
        expression = _environment(test).compile(test["expr"])
    except AuthorErrors as error:
        if expected_error:
            return None
        raise Mismatch(f"does not compile: {error}") from error
    typed = test.get("typed_result")
    if typed is not None:
        wanted_type = _type(typed["deduced_type"])
        if str(wanted_type) != str(expression.type):
            raise Mismatch(f"type: expected {wanted_type}, got {expression.type}")
        if test.get("check_only"):
            return None
    try:
        result = expression.value(_bindings(test))
    except (Failure, BudgetExceeded) as failure:
        if expected_error:
            return None
        raise Mismatch(f"fails: {failure.problem}") from failure
    if expected_error:
        raise Mismatch(f"expected {test['eval_error']}, got {result!r}")
    wanted = (
        test["value"] if "value" in test else typed["result"] if typed else {"bool_value": True}
    )
    expected = _value(wanted)
    if isinstance(expected, bytes) and "\\" not in test["expr"]:
        # Two cases expect the backslash of a C escape that their conversion to JSON left undone. No
        # literal without a backslash can mean one.
        expected = expected.replace(b"\\?", b"?")
    if not _identical(expected, result):
        raise Mismatch(f"expected {expected!r}, got {result!r}")
    return None


_VOCABULARY: Final = Vocabulary(_libraries())


def _environment(test: dict[str, Any]) -> Environment:
    variables: dict[str, CelType] = {}
    functions: list[Function] = []
    for declaration in test.get("type_env", ()):
        if "ident" in declaration:
            variables[declaration["name"]] = _type(declaration["ident"]["type"])
        else:
            functions.append(_function(declaration))
    vocabulary = _VOCABULARY
    if functions:
        vocabulary = Vocabulary((*_libraries(), Library("declared", tuple(functions))))
    return Environment(
        variables,
        vocabulary=vocabulary,
        dialect=Dialect(
            container=test.get("container", ""),
            unchecked=bool(test.get("disable_check")),
            operations=_OPERATIONS,
        ),
    )


def _function(declaration: dict[str, Any]) -> Function:
    def unimplemented(*_: Value) -> Value:
        raise Failure("declared for type checks only")

    return Function(
        declaration["name"],
        tuple(
            Overload(
                overload["overload_id"],
                tuple(_type(param) for param in overload.get("params", ())),
                _type(overload["result_type"]),
                unimplemented,
                member=bool(overload.get("is_instance_function")),
            )
            for overload in declaration["function"]["overloads"]
        ),
    )


_PRIMITIVES: Final = {
    "BOOL": celtypes.BOOL,
    "INT64": celtypes.INT,
    "UINT64": celtypes.UINT,
    "DOUBLE": celtypes.DOUBLE,
    "STRING": celtypes.STRING,
    "BYTES": celtypes.BYTES,
}


def _type(described: dict[str, Any]) -> CelType:
    """Return the type that a `google.api.expr.v1alpha1.Type` describes."""
    ((kind, detail),) = described.items()
    match kind:
        case "primitive":
            return _PRIMITIVES[detail]
        case "dyn":
            return celtypes.DYN
        case "null":
            return celtypes.NULL
        case "list_type":
            return celtypes.list_of(_type(detail["elem_type"]))
        case "map_type":
            return celtypes.map_of(_type(detail["key_type"]), _type(detail["value_type"]))
        case "type_param":
            return celtypes.param(detail)
        case "abstract_type":
            params = tuple(_type(one) for one in detail.get("parameter_types", ()))
            if detail["name"] == "optional_type":
                return celtypes.optional_of(*params)
            return CelType(celtypes.Kind.OPAQUE, detail["name"], params)
        case "well_known":
            return {"TIMESTAMP": celtypes.TIMESTAMP, "DURATION": celtypes.DURATION}[detail]
        case _:
            raise AssertionError(f"no such type here: {described}")


def _bindings(test: dict[str, Any]) -> dict[str, Value]:
    return {name: _value(binding["value"]) for name, binding in test.get("bindings", {}).items()}


def _value(described: dict[str, Any]) -> Value:
    """Return the value that a `cel.expr.Value` describes."""
    ((kind, detail),) = described.items()
    match kind:
        case "int64_value":
            return int(detail)
        case "uint64_value":
            return Uint(int(detail))
        case "double_value":
            return float(detail)
        case "bytes_value":
            return base64.b64decode(detail)
        case "null_value":
            return None
        case "bool_value" | "string_value":
            return detail
        case "list_value":
            return [_value(one) for one in detail.get("values", ())]
        case "map_value":
            return map_from(
                [(_value(one["key"]), _value(one["value"])) for one in detail.get("entries", ())]
            )
        case "type_value":
            return TypeValue(detail)
        case "object_value":
            return _well_known(detail)
        case _:
            raise AssertionError(f"no such value here: {described}")


def _well_known(described: dict[str, Any]) -> Value:
    name = described["@type"].rpartition("/")[2]
    if name == "google.protobuf.Duration":
        return Duration(library.times.parse_duration(described["value"]).ns)
    if name == "google.protobuf.Timestamp":
        return Timestamp(library.times.parse_rfc3339(described["value"]).ns)
    raise AssertionError(f"no such value here: {described}")


def _identical(expected: Value, got: Value) -> bool:
    """Return whether both are equal and of the same kind, at any depth; NaN equals NaN here."""
    if kind_of(expected) is not kind_of(got):
        return False
    if type(expected) is float and math.isnan(expected):
        return type(got) is float and math.isnan(got)
    if values.is_list(expected):
        return len(expected) == len(got) and all(map(_identical, expected, got))
    if values.is_map(expected):
        return len(expected) == len(got) and all(
            key in got and _identical(value, got[key]) for key, value in expected.items()
        )
    if type(expected) is float:
        return repr(expected) == repr(got)
    return equal(expected, got)


SUITE = Suite("cel-spec", "", load, run)
