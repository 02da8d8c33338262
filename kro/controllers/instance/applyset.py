"""The apply set: how an instance is named as parent of its children, and what it records of them.

The parent records which kinds and namespaces its members may live in (the inventory) before the
first member is written. From that record alone every member can be found again, without a graph.

Source: KEP-3659; spec instance-runtime.md §4.1, §7.2.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from kro import names
from kro.errors import ClusterError
from kro.refs import GroupKind, JsonObject, NamespacedName

KEYS = (
    names.APPLYSET_TOOLING,
    names.APPLYSET_GROUP_KINDS,
    names.APPLYSET_NAMESPACES,
    names.APPLYSET_INVENTORY_HASH,
)
"""The annotations of a parent; the fifth key is the label with the id."""

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL, re.ASCII)
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)


class InventoryError(ClusterError):
    """The record that an instance carries of its members cannot be read or trusted."""

    reason = "InvalidInventory"


def applyset_id(name: NamespacedName, group_kind: GroupKind) -> str:
    """Return the id of the apply set whose parent is the named object."""
    text = f"{name.name}.{name.namespace}.{group_kind.kind}.{group_kind.group}"
    return f"applyset-{_digest(text.encode())}-v1"


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Inventory:
    """Kinds and namespaces that members may live in."""

    group_kinds: frozenset[GroupKind] = frozenset()
    namespaces: frozenset[str] = frozenset()
    """Without the parent's own."""

    def __or__(self, other: Inventory) -> Inventory:
        """Return the inventory that covers both."""
        return Inventory(self.group_kinds | other.group_kinds, self.namespaces | other.namespaces)

    def annotations(self, set_id: str, version: str) -> dict[str, str]:
        """Return the parent's annotations that record this inventory."""
        kinds = ",".join(sorted(str(group_kind) for group_kind in self.group_kinds))
        namespaces = ",".join(sorted(self.namespaces))
        return {
            names.APPLYSET_TOOLING: f"kro/{version}",
            names.APPLYSET_GROUP_KINDS: kinds,
            names.APPLYSET_NAMESPACES: namespaces,
            names.APPLYSET_INVENTORY_HASH: _hash(set_id, kinds, namespaces),
        }


def _hash(set_id: str, kinds: str, namespaces: str) -> str:
    return "sha256:" + _digest(f"{set_id}\0{kinds}\0{namespaces}".encode())


def labels_of(obj: Mapping[str, object]) -> dict[str, str]:
    """Return the labels of an object, empty if it has none."""
    return _strings(obj, "labels")


def annotations_of(obj: Mapping[str, object]) -> dict[str, str]:
    """Return the annotations of an object, empty if it has none."""
    return _strings(obj, "annotations")


def _strings(obj: Mapping[str, object], field: str) -> dict[str, str]:
    metadata = obj.get("metadata")
    found = metadata.get(field) if isinstance(metadata, dict) else None
    return cast("dict[str, str]", found) if isinstance(found, dict) else {}


def carried(parent: JsonObject) -> tuple[dict[str, str], dict[str, str]]:
    """Return the inventory's labels and annotations as the parent carries them now."""
    labels, annotations = labels_of(parent), annotations_of(parent)
    own = {key: annotations[key] for key in KEYS if key in annotations}
    if names.APPLYSET_ID in labels:
        return {names.APPLYSET_ID: labels[names.APPLYSET_ID]}, own
    return {}, own


def recorded(parent: JsonObject) -> Inventory:
    """Return the inventory that a parent records; absent annotations record nothing.

    Raises:
        InventoryError: an annotation cannot be read.
    """
    annotations = annotations_of(parent)
    return Inventory(
        frozenset(_group_kind(text) for text in _entries(annotations, names.APPLYSET_GROUP_KINDS)),
        frozenset(_namespace(text) for text in _entries(annotations, names.APPLYSET_NAMESPACES)),
    )


def trusted(parent: JsonObject, set_id: str) -> Inventory:
    """Return the recorded inventory after everything that guards it was checked.

    A missing hash is accepted: parents written by older versions have none.

    Raises:
        InventoryError: id, tooling, an annotation or the hash is missing or not what it must be.
    """
    found = labels_of(parent).get(names.APPLYSET_ID, "")
    if found != set_id:
        raise InventoryError(f'invalid {names.APPLYSET_ID} label: got "{found}", want "{set_id}"')
    annotations = annotations_of(parent)
    for key in (
        names.APPLYSET_TOOLING,
        names.APPLYSET_GROUP_KINDS,
        names.APPLYSET_NAMESPACES,
    ):
        if key not in annotations:
            raise InventoryError(f"missing required {key} annotation")
    tooling = annotations[names.APPLYSET_TOOLING]
    if not tooling.startswith("kro/"):
        raise InventoryError(
            f'invalid {names.APPLYSET_TOOLING} annotation: got "{tooling}", want "kro/<version>"'
        )
    inventory = recorded(parent)
    noted = annotations.get(names.APPLYSET_INVENTORY_HASH)
    right = _hash(
        set_id,
        annotations[names.APPLYSET_GROUP_KINDS],
        annotations[names.APPLYSET_NAMESPACES],
    )
    if noted is not None and noted != right:
        raise InventoryError(
            f'invalid {names.APPLYSET_INVENTORY_HASH} annotation: got "{noted}", want "{right}"'
        )
    return inventory


def _entries(annotations: Mapping[str, str], key: str) -> list[str]:
    text = annotations.get(key, "")
    entries = [entry.strip() for entry in text.split(",")] if text else []
    if not all(entries):
        raise InventoryError(f'invalid {key} annotation: an entry of "{text}" is empty')
    return entries


def _group_kind(text: str) -> GroupKind:
    kind, dot, group = text.partition(".")
    if not kind or any(character.isspace() for character in kind):
        raise InventoryError(
            f'invalid {names.APPLYSET_GROUP_KINDS} annotation: "{text}" has no kind'
        )
    if dot and not (len(group) <= 253 and _SUBDOMAIN.fullmatch(group)):
        raise InventoryError(
            f'invalid {names.APPLYSET_GROUP_KINDS} annotation: "{group}" is not a group'
        )
    return GroupKind(group, kind)


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise InventoryError(
            f'invalid {names.APPLYSET_NAMESPACES} annotation: "{text}" is not a namespace'
        )
    return text
