"""What an update of a generated CRD changes, and whether stored instances survive it.

The verdicts are part of the behaviour users rely on: a breaking change is refused without
permission. What the comparison does not look at (map values, validations, list types, formats) is
never breaking. Values are compared decoded, because the API server returns defaults and enums
written differently from how they were sent. Source: simpleschema.md §6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import orjson

from kro.errors import SchemaError
from kro.refs import JsonObject, JsonValue

_LIMITS: Final = (
    # key, prefix of the change type, is a larger value stricter?
    ("minimum", "MINIMUM", True),
    ("maximum", "MAXIMUM", False),
    ("minLength", "MIN_LENGTH", True),
    ("maxLength", "MAX_LENGTH", False),
    ("minItems", "MIN_ITEMS", True),
    ("maxItems", "MAX_ITEMS", False),
)


class CompatibilityError(SchemaError):
    """Two CRDs cannot be compared at all."""


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One difference between two schemas."""

    path: str
    """`.properties.spec.properties.a.minimum`; empty for the root."""
    type: str
    """A stable word such as `PROPERTY_REMOVED`."""
    old: str
    new: str
    breaking: bool
    description: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences, sorted by path. It is true when there are any."""

    changes: tuple[Change, ...]

    def __bool__(self) -> bool:
        """Return whether anything changed."""
        return bool(self.changes)

    @property
    def breaking(self) -> tuple[Change, ...]:
        """The changes that stored instances may not survive."""
        return tuple(change for change in self.changes if change.breaking)

    @property
    def compatible(self) -> tuple[Change, ...]:
        """The harmless changes."""
        return tuple(change for change in self.changes if not change.breaking)

    def summary(self) -> str:
        """Return the first three breaking changes in words, and how many more there are."""
        texts = [change.description for change in self.breaking]
        if not texts:
            return "no breaking changes"
        more = [f"and {len(texts) - 3} more changes"] if len(texts) > 3 else []
        return "; ".join(texts[:3] + more)


def compare_versions(old: Sequence[JsonObject], new: Sequence[JsonObject]) -> Comparison:
    """Compare two lists of `spec.versions` entries.

    Raises:
        CompatibilityError: a side has not exactly one version, or a version has no schema.
    """
    if len(old) != 1 or len(new) != 1:
        raise CompatibilityError(
            "expected exactly one version in each CRD, "
            f"got {len(old)} old and {len(new)} new versions"
        )
    before, after = old[0], new[0]
    if before.get("name") != after.get("name"):
        names = str(before.get("name", "")), str(after.get("name", ""))
        return Comparison((_type_changed("version", *names),))
    changes = list(_differences("", _schema(before, "old"), _schema(after, "new")))
    if before.get("served") and not after.get("served"):
        changes.append(_type_changed("version.served", "true", "false"))
    if _has_status(before) and not _has_status(after):
        changes.append(_property_removed("version.subresources.status"))
    return Comparison(tuple(sorted(changes)))


def compare_schemas(old: JsonObject | None, new: JsonObject | None) -> Comparison:
    """Compare two OpenAPI schemas; None stands for a missing one."""
    return Comparison(tuple(sorted(_differences("", old, new))))


def _schema(version: JsonObject, side: str) -> JsonObject:
    schema = _mapping(version.get("schema")).get("openAPIV3Schema")
    if not isinstance(schema, dict):
        raise CompatibilityError(f"{side} version {version.get('name', '')} has no schema")
    return schema


def _has_status(version: JsonObject) -> bool:
    return _mapping(version.get("subresources")).get("status") is not None


def _differences(path: str, old: JsonObject | None, new: JsonObject | None) -> Iterator[Change]:
    if old is None and new is None:
        return
    if old is None:
        yield _property_added(path, required=False)
        return
    if new is None:
        yield _property_removed(path)
        return
    yield from _description(path, old, new)
    yield from _default(path, old, new)
    before, after = str(old.get("type") or ""), str(new.get("type") or "")
    if before != after:
        yield _type_changed(f"{path}.type", before, after)
        return
    yield from _pattern(path, old, new)
    for key, prefix, larger_is_stricter in _LIMITS:
        yield from _limit(path, key, prefix, larger_is_stricter, old, new)
    yield from _properties(path, old, new)
    yield from _required(path, old, new)
    yield from _enum(path, old, new)
    yield from _differences(f"{path}.items", _optional(old, "items"), _optional(new, "items"))


def _description(path: str, old: JsonObject, new: JsonObject) -> Iterator[Change]:
    before, after = str(old.get("description") or ""), str(new.get("description") or "")
    if before != after:
        text = f"Description field was changed from {before} to {after}"
        where = f"{path}.description"
        yield Change(where, "DESCRIPTION_CHANGED", before, after, False, text)


def _default(path: str, old: JsonObject, new: JsonObject) -> Iterator[Change]:
    before, after = _default_text(old), _default_text(new)
    if before != after:
        text = f"Default value was changed from {before} to {after}"
        yield Change(f"{path}.default", "DEFAULT_CHANGED", before, after, False, text)


def _pattern(path: str, old: JsonObject, new: JsonObject) -> Iterator[Change]:
    before, after = str(old.get("pattern") or ""), str(new.get("pattern") or "")
    where = f"{path}.pattern"
    if before == after:
        return
    if not before:
        text = f"Validation pattern {after} was added"
        yield Change(where, "PATTERN_ADDED", "", after, True, text)
    elif not after:
        text = f"Validation pattern {before} was removed"
        yield Change(where, "PATTERN_REMOVED", before, "", False, text)
    else:
        text = f"Validation pattern changed from {before} to {after}"
        yield Change(where, "PATTERN_CHANGED", before, after, True, text)


def _limit(
    path: str,
    key: str,
    prefix: str,
    larger_is_stricter: bool,
    old: JsonObject,
    new: JsonObject,
) -> Iterator[Change]:
    before, after = _number(old.get(key)), _number(new.get(key))
    if before == after:
        return
    where, name = f"{path}.{key}", key[0].upper() + key[1:]
    old_text, new_text = _decimal(before), _decimal(after)
    if before is None:
        text = f"{name} constraint {new_text} was added"
        yield Change(where, f"{prefix}_ADDED", "", new_text, True, text)
    elif after is None:
        text = f"{name} constraint {old_text} was removed"
        yield Change(where, f"{prefix}_REMOVED", old_text, "", False, text)
    else:
        larger = after > before
        word = "increased" if larger else "decreased"
        text = f"{name} was {word} from {old_text} to {new_text}"
        breaking = larger == larger_is_stricter
        yield Change(where, f"{prefix}_{word.upper()}", old_text, new_text, breaking, text)


def _properties(path: str, old: JsonObject, new: JsonObject) -> Iterator[Change]:
    before, after = _mapping(old.get("properties")), _mapping(new.get("properties"))
    required = _strings(new.get("required"))
    for name in before.keys() | after.keys():
        where = f"{path}.properties.{name}"
        if name not in after:
            yield _property_removed(where)
        elif name not in before:
            needed = name in required and not _default_text(_mapping(after[name]))
            yield _property_added(where, required=needed)
        else:
            yield from _differences(where, _mapping(before[name]), _mapping(after[name]))


def _required(path: str, old: JsonObject, new: JsonObject) -> Iterator[Change]:
    before, after = _strings(old.get("required")), _strings(new.get("required"))
    had, has = _mapping(old.get("properties")), _mapping(new.get("properties"))
    where = f"{path}.required"
    for name in after - before:
        if name in had:
            text = f"Field {name} is newly required"
            yield Change(where, "REQUIRED_ADDED", "", name, True, text)
    for name in before - after:
        text = f"Field {name} is no longer required"
        yield Change(where, "REQUIRED_REMOVED", name, "", False, text)
    for name in before & after & had.keys() & has.keys():
        if _default_text(_mapping(had[name])) and not _default_text(_mapping(has[name])):
            text = f"Default value removed from required field {name}"
            yield Change(where, "REQUIRED_DEFAULT_REMOVED", name, "", True, text)


def _enum(path: str, old: JsonObject, new: JsonObject) -> Iterator[Change]:
    before, after = _texts(old.get("enum")), _texts(new.get("enum"))
    where = f"{path}.enum"
    if not before or not after:
        return
    for value in before.keys() - after.keys():
        text = f"Enum value {value} was removed"
        yield Change(where, "ENUM_RESTRICTED", value, "", True, text)
    for value in after.keys() - before.keys():
        text = f"Enum value {value} was added"
        yield Change(where, "ENUM_EXPANDED", "", value, False, text)


def _type_changed(path: str, old: str, new: str) -> Change:
    return Change(path, "TYPE_CHANGED", old, new, True, f"Type changed from {old} to {new}")


def _property_removed(path: str) -> Change:
    name = path.rpartition(".")[2]
    return Change(path, "PROPERTY_REMOVED", "", "", True, f"Property {name} was removed")


def _property_added(path: str, *, required: bool) -> Change:
    name = path.rpartition(".")[2]
    if required:
        text = f"Required property {name} was added"
        return Change(path, "PROPERTY_ADDED", "required=false", "required=true", True, text)
    return Change(path, "PROPERTY_ADDED", "", "", False, f"Optional property {name} was added")


def _default_text(schema: Mapping[str, JsonValue]) -> str:
    """Return a default as compact JSON; a null one is none, for the API server drops it."""
    value = schema.get("default")
    return "" if value is None else _compact(value)


def _compact(value: JsonValue) -> str:
    return orjson.dumps(_plain(value), option=orjson.OPT_SORT_KEYS).decode()


def _plain(value: JsonValue) -> JsonValue:
    """Return the value with integral doubles as integers: `1.0` and `1` are the same number."""
    match value:
        case float() if value.is_integer() and abs(value) < 2**63:
            return int(value)
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case _:
            return value


def _number(value: JsonValue) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _decimal(value: float | None) -> str:
    """Return a number in plain decimal, shortest form, without exponent."""
    if value is None:
        return ""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _texts(value: JsonValue) -> dict[str, None]:
    return {_compact(item): None for item in value} if isinstance(value, list) else {}


def _strings(value: JsonValue) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()


def _mapping(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _optional(schema: JsonObject, key: str) -> JsonObject | None:
    value = schema.get(key)
    return value if isinstance(value, dict) else None
