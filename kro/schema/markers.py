"""The sixteen markers: what each does to the schema of its field.

A marker function takes the draft and the marker's value and changes the draft or raises
`ValueError` with the text of the spec. Nothing looks at other markers but the list markers.
Source: simpleschema.md §2.4-2.8.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Final

from kro.refs import JsonObject, JsonValue
from kro.schema.fieldtext import Marker, TextError
from kro.schema.literals import (
    WHITE,
    json_number,
    parse_bool,
    parse_int,
    parse_json,
    parse_number,
    quoted,
    shortened,
)

LIST_TYPE: Final = "x-kubernetes-list-type"
LIST_MAP_KEYS: Final = "x-kubernetes-list-map-keys"
VALIDATIONS: Final = "x-kubernetes-validations"

_ESCAPES: Final = re.compile(r"\\.", re.DOTALL)
_LITERAL: Final = re.compile(r"\\Q.*?(?:\\E|$)", re.DOTALL)


class Draft:
    """A field's schema while its markers are applied.

    Promise: the schema it started from is never changed; what markers append to is copied first.
    """

    def __init__(self, schema: JsonObject) -> None:
        self.schema: JsonObject = dict(schema)
        self.required = 0
        """How often the field was said to be required."""

    @property
    def type(self) -> str:
        """The OpenAPI type of the field."""
        return str(self.schema["type"])

    def append(self, key: str, item: JsonValue) -> None:
        """Append to a list of the schema."""
        held = self.schema.get(key)
        self.schema[key] = [*(held if isinstance(held, list) else ()), item]


def apply_markers(draft: Draft, markers: Iterable[Marker]) -> list[TextError]:
    """Apply the markers from left to right; return what is wrong with any of them."""
    errors: list[TextError] = []
    for marker in markers:
        if (function := _MARKERS.get(marker.key)) is None:
            continue  # the lexer has already reported it
        try:
            function(draft, marker.value)
        except ValueError as error:
            errors.append(TextError(str(error), marker.offset, _HINTS.get(marker.key, "")))
    if not errors and LIST_MAP_KEYS in draft.schema:
        found = draft.schema.get(LIST_TYPE)
        if found != "map":
            state = f"set to {found}" if found else "unset"
            problem = f"listMapKey set while listType is {state}, listType must be set to map"
            offset = next((m.offset for m in markers if m.key == "listMapKey"), 0)
            errors.append(TextError(problem, offset))
    return errors


def _bool(marker: str, value: str) -> bool:
    try:
        return parse_bool(value)
    except ValueError as error:
        raise ValueError(f"failed to parse {marker} marker value: {error}") from error


def _required(draft: Draft, value: str) -> None:
    draft.required += _bool("required", value)


def _default(draft: Draft, value: str) -> None:
    kind = draft.type
    raw = value
    try:
        match kind:
            case "string":
                raw = f'"{value}"'
            case "integer":
                parse_int(value)
            case "number":
                parse_number(value)
            case "boolean":
                parse_bool(value)
    except ValueError as error:
        raise ValueError(
            f"default value must be a valid {kind}, got: {shortened(value)}"
        ) from error
    if not raw:
        draft.schema["default"] = None  # no text is written as null, yet counts as a default
        return
    try:
        default = parse_json(raw)
    except ValueError as error:
        why = f"a JSON {'string body' if kind == 'string' else 'text'}"
        raise ValueError(f"default value is not {why}, got: {quoted(value)}: {error}") from error
    draft.schema["default"] = default


def _description(draft: Draft, value: str) -> None:
    if value:
        draft.schema["description"] = value
    else:
        draft.schema.pop("description", None)


def _limit(key: str) -> Callable[[Draft, str], None]:
    def apply(draft: Draft, value: str) -> None:
        try:
            number = parse_number(value)
            if not math.isfinite(number):
                raise ValueError(f"{quoted(value)} cannot be written as JSON")
        except ValueError as error:
            raise ValueError(f"failed to parse {key} enum value: {error}") from error
        draft.schema[key] = json_number(number)

    return apply


def _count(key: str, kind: str) -> Callable[[Draft, str], None]:
    def apply(draft: Draft, value: str) -> None:
        if draft.type != kind:
            raise ValueError(f"{key} marker is only valid for {kind} types, got type: {draft.type}")
        try:
            draft.schema[key] = parse_int(value)
        except ValueError as error:
            raise ValueError(f"failed to parse {key} value: {error}") from error

    return apply


def _enum(draft: Draft, value: str) -> None:
    values: list[JsonValue] = []
    for text in value.split(","):
        item = text.strip(WHITE)
        if not item:
            raise ValueError("empty enum values are not allowed")
        match draft.type:
            case "string":
                values.append(item)
            case "integer":
                values.append(_enum_integer(item))
            case other:
                raise ValueError(
                    f"enum values only supported for string and integer types, got type: {other}"
                )
    draft.schema["enum"] = values


def _enum_integer(item: str) -> JsonValue:
    try:
        value = parse_int(item)
        parse_json(item)
    except ValueError as error:
        raise ValueError(f"failed to parse integer enum value: {error}") from error
    return value


def _pattern(draft: Draft, value: str) -> None:
    if not value:
        raise ValueError("pattern marker value cannot be empty")
    if draft.type != "string":
        raise ValueError(f"pattern marker is only valid for string types, got type: {draft.type}")
    if problem := pattern_problem(value):
        raise ValueError(f"invalid pattern regex: {problem}: {quoted(value)}")
    draft.schema["pattern"] = value


def pattern_problem(pattern: str) -> str:
    """Return why a pattern is no RE2 regular expression, or an empty text."""
    import re2  # a native library that only definitions with patterns need

    if any(match[0] == r"\C" for match in _ESCAPES.finditer(_LITERAL.sub("", pattern))):
        return r"invalid escape sequence: \C"  # the library knows it, the API server does not
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        detail = error.args[0] if error.args else ""
        return detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
    return ""


def _unique_items(draft: Draft, value: str) -> None:
    unique = _bool("uniqueItems", value)
    if draft.type != "array":
        raise ValueError(
            f"uniqueItems marker is only valid for array types, got type: {draft.type}"
        )
    if not unique:
        return
    held = draft.schema.get(LIST_TYPE, "set")
    if held != "set":
        raise ValueError(f"cannot set unique when listType is set to {held}")
    draft.schema[LIST_TYPE] = "set"


def _list_type(draft: Draft, value: str) -> None:
    if draft.type != "array":
        raise ValueError("listType marker only applies to array types")
    if value not in ("atomic", "set", "map"):
        raise ValueError(
            f"unsupported value for listType {shortened(value)}, "
            "needs to be one of atomic, set, or map"
        )
    held = draft.schema.get(LIST_TYPE, value)
    if held != value:
        raise ValueError(
            f"listType attempting to overwrite set type of {held}, "
            f"keep one of {held} and {value} (uniqueItems=true means set)"
        )
    draft.schema[LIST_TYPE] = value


def _list_map_key(draft: Draft, value: str) -> None:
    if draft.type != "array":
        raise ValueError("listMapKey marker only applies to array types")
    held = draft.schema.get(LIST_MAP_KEYS)
    if isinstance(held, list) and value in held:
        raise ValueError(f"duplicate listMapKey marker, value {shortened(value)}")
    draft.append(LIST_MAP_KEYS, value)


def _validation(draft: Draft, value: str) -> None:
    if not value.strip(WHITE):
        raise ValueError("validation failed: the rule is empty")
    draft.append(VALIDATIONS, {"rule": value, "message": "validation failed"})


def _immutable(draft: Draft, value: str) -> None:
    if _bool("immutable", value):
        draft.append(VALIDATIONS, {"rule": "self == oldSelf", "message": "field is immutable"})


_MARKERS: Final[dict[str, Callable[[Draft, str], None]]] = {
    "required": _required,
    "default": _default,
    "description": _description,
    "minimum": _limit("minimum"),
    "maximum": _limit("maximum"),
    "enum": _enum,
    "minLength": _count("minLength", "string"),
    "maxLength": _count("maxLength", "string"),
    "pattern": _pattern,
    "minItems": _count("minItems", "array"),
    "maxItems": _count("maxItems", "array"),
    "uniqueItems": _unique_items,
    "listType": _list_type,
    "listMapKey": _list_map_key,
    "validation": _validation,
    "immutable": _immutable,
}
_HINTS: Final = {
    "pattern": "patterns are RE2: without look-around and back-references",
    "enum": 'separate the values by commas: enum="a,b"',
}
MARKER_NAMES: Final = frozenset(_MARKERS)
