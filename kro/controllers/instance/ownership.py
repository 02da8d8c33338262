"""Does a live object already hold what an apply would write?

An apply changes nothing when every desired value is there *and* our field manager owns exactly the
desired fields: one that we own but no longer desire has to be dropped, one we desire but do
not own may be taken away by its owner. What is owned stands in `metadata.managedFields`; it is
compared along with the values, without a schema: how a list is keyed can be read from the ownership
itself. Whatever cannot be decided counts as a difference, and the API server decides.

Source: Kubernetes server-side apply, `fieldsV1` notation of structured-merge-diff v6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import orjson

from kro.names import MANAGER_APPLYSET
from kro.refs import JsonObject, JsonValue

_IDENTITY = ("apiVersion", "kind")
_IDENTITY_METADATA = ("name", "namespace")


def owned_fields(live: Mapping[str, object]) -> JsonObject | None:
    """Return the fields that children's field manager owns by apply, or None if it owns none."""
    metadata = live.get("metadata")
    entries = metadata.get("managedFields") if isinstance(metadata, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        if (
            entry.get("manager") == MANAGER_APPLYSET
            and entry.get("operation") == "Apply"
            and not entry.get("subresource")
            and entry.get("apiVersion") == live.get("apiVersion")
        ):
            return cast("JsonObject", entry.get("fieldsV1"))
    return None


def without_managed_fields(live: JsonObject) -> JsonObject:
    """Return the object without `metadata.managedFields`; the argument is not changed."""
    metadata = live.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" not in metadata:
        return live
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    return {**live, "metadata": kept}


def holds(desired: JsonObject, live: JsonObject, fields: JsonObject | None) -> bool:
    """Return whether applying `desired` to `live` provably changes nothing.

    Args:
        fields: what `owned_fields` gave for `live`.
    """
    if fields is None or desired.get("apiVersion") != live.get("apiVersion"):
        return False
    body = {key: value for key, value in desired.items() if key not in _IDENTITY}
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        return False
    body["metadata"] = {k: v for k, v in metadata.items() if k not in _IDENTITY_METADATA}
    return _holds_map(body, fields, live)


def _holds_map(desired: JsonObject, fields: JsonObject, live: JsonObject) -> bool:
    owned = {key[2:] for key in fields if key.startswith("f:")}
    if owned != desired.keys() or any(key[:2] not in ("f:", ".") for key in fields):
        return False
    return all(
        key in live and _holds(value, fields["f:" + key], live[key])
        for key, value in desired.items()
    )


def _holds(desired: JsonValue, fields: JsonValue, live: JsonValue) -> bool:
    if not isinstance(fields, dict):
        return False
    if not fields:
        return is_same(desired, live)
    if isinstance(desired, dict) and isinstance(live, dict):
        return _holds_map(desired, fields, live)
    if isinstance(desired, list) and isinstance(live, list):
        return _holds_list(desired, fields, live)
    return False


def _holds_list(desired: list[JsonValue], fields: JsonObject, live: list[JsonValue]) -> bool:
    entries = {key: value for key, value in fields.items() if key != "."}
    if len(entries) != len(desired):
        return False
    for key, inner in entries.items():
        try:
            wanted = orjson.loads(key[2:])
        except orjson.JSONDecodeError:
            return False
        if key.startswith("v:"):
            if not any(is_same(wanted, item) for item in desired):
                return False
            if not any(is_same(wanted, item) for item in live):
                return False
        elif key.startswith("k:") and isinstance(wanted, dict):
            mine = _keyed(desired, wanted, strict=False)
            theirs = _keyed(live, wanted, strict=True)
            if mine is None or theirs is None or not isinstance(inner, dict):
                return False
            if not _holds_map(mine, inner, theirs):
                return False
        else:
            return False
    return True


def _keyed(items: list[JsonValue], keys: JsonObject, *, strict: bool) -> JsonObject | None:
    """Return the one element with these keys; a key that was defaulted may be missing."""
    found = [
        item
        for item in items
        if isinstance(item, dict)
        and all(
            is_same(item[name], value) if name in item else not strict
            for name, value in keys.items()
        )
    ]
    return found[0] if len(found) == 1 else None


def owned_values(live: JsonValue, fields: JsonValue) -> JsonValue:
    """Return of a live value only what the given fields cover, in the shape of the fields.

    Raises:
        LookupError: a field that is owned is not there: the API server keeps it in another place
            (`stringData` of a Secret), so its value cannot be seen.
    """
    if not isinstance(fields, dict) or not fields:
        return live
    found: JsonObject = {}
    for key, inner in fields.items():
        if key.startswith("f:"):
            if not isinstance(live, dict):
                raise LookupError(key)
            found[key] = owned_values(live[key[2:]], inner)
        elif key.startswith("k:"):
            keys = orjson.loads(key[2:])
            items = live if isinstance(live, list) else []
            found[key] = owned_values(_keyed(items, keys, strict=True), inner)
        elif key.startswith("v:"):
            wanted = orjson.loads(key[2:])
            items = live if isinstance(live, list) else []
            if not any(is_same(wanted, item) for item in items):
                raise LookupError(key)
            found[key] = True
    return found


def is_same(left: JsonValue, right: JsonValue) -> bool:
    """Return whether two JSON values are equal: whole floats equal integers, booleans do not."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            is_same(value, right[key]) for key, value in left.items()
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right
