"""GraphRevision objects: what is in them, and which of a definition's are which.

Source: spec "API surface and operations" §2; "graph and RGD controller" §6.2-§6.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from kro import names
from kro.graph import revision_name
from kro.refs import GVR, JsonObject, JsonValue
from kro.runtime import Stored

REVISIONS: Final = GVR(names.INTERNAL_GROUP, "v1alpha1", "graphrevisions")
API_VERSION: Final = f"{names.KRO_GROUP}/v1alpha1"
SNAPSHOT_INDEX: Final = "snapshot"
"""Index of the revision informer: by the name of the definition."""


def snapshot_name(stored: Stored) -> str | None:
    """Return the index key of a revision: the definition that it is of."""
    return definition_of(stored.object()) or None


def definition_of(revision: Mapping[str, JsonValue]) -> str:
    """Return the name of the definition that was frozen: the one identity that groups them."""
    return str(_at(revision, "spec", "snapshot").get("name") or "")


def name_of(manifest: Mapping[str, JsonValue]) -> str:
    """Return the object's own name."""
    return str(_at(manifest, "metadata")["name"])


def uid_of(manifest: Mapping[str, JsonValue]) -> str:
    """Return the object's UID."""
    return str(_at(manifest, "metadata")["uid"])


def number_of(revision: Mapping[str, JsonValue]) -> int:
    """Return the revision's number."""
    number = _at(revision, "spec").get("revision")
    return number if isinstance(number, int) else 0


def spec_of(revision: Mapping[str, JsonValue]) -> JsonValue:
    """Return the spec that was frozen."""
    return _at(revision, "spec", "snapshot").get("spec")


def is_terminating(revision: Mapping[str, JsonValue]) -> bool:
    """Whether the revision is being deleted."""
    return "deletionTimestamp" in _at(revision, "metadata")


@dataclass(frozen=True, slots=True)
class Family:
    """The revisions of one definition: the live ones by ascending number, and those that go."""

    live: tuple[JsonObject, ...]
    unsettled: bool
    """Whether a revision is being deleted that nothing has followed yet: which number comes next,
    and whether there is something to adopt, is open until it is gone."""

    @classmethod
    def of(cls, revisions: Iterable[JsonObject]) -> Family:
        """Sort what the store holds of one definition."""
        known = list(revisions)
        live = sorted((r for r in known if not is_terminating(r)), key=number_of)
        newest = number_of(live[-1]) if live else 0
        unsettled = any(is_terminating(r) and number_of(r) > newest for r in known)
        return cls(tuple(live), unsettled)

    @property
    def latest(self) -> JsonObject | None:
        """The live revision with the highest number."""
        return self.live[-1] if self.live else None

    def beyond(self, kept: int) -> tuple[JsonObject, ...]:
        """Return the live revisions that retention lets go; `kept` of 0 or less keeps all."""
        return self.live[:-kept] if kept > 0 else ()


def new_revision(
    definition: JsonObject, number: int, *, spec_hash: str, version: str
) -> JsonObject:
    """Return the GraphRevision that freezes the definition's spec under this number.

    It is born with its finalizer: whoever deletes it waits until this process has let go of it.
    """
    metadata = _at(definition, "metadata")
    name = str(metadata["name"])
    return {
        "apiVersion": f"{names.INTERNAL_GROUP}/v1alpha1",
        "kind": names.REVISION_KIND,
        "metadata": {
            "name": revision_name(name, number),
            "labels": {
                names.OWNED: "true",
                names.KRO_VERSION: names.label_safe_version(version),
                names.DEFINITION_NAME: name,
                names.REVISION_HASH: spec_hash,
            },
            "finalizers": [names.FINALIZER],
            "ownerReferences": [_owner_reference(definition)],
        },
        "spec": {
            "revision": number,
            "snapshot": {
                "name": name,
                "generation": metadata.get("generation", 0),
                "spec": definition.get("spec"),
            },
        },
    }


def adopted(revision: JsonObject, definition: JsonObject) -> JsonObject | None:
    """Return the revision as owned by this very definition, or None where it is already.

    A stale reference to a definition is replaced in its place; all others stay.
    """
    wanted = _owner_reference(definition)
    metadata = dict(_at(revision, "metadata"))
    listed = metadata.get("ownerReferences")
    references = list(listed) if isinstance(listed, list) else []
    for reference in references:
        if (
            isinstance(reference, dict)
            and reference.get("controller") is True
            and reference.get("kind") == names.DEFINITION_KIND
            and reference.get("uid") == wanted["uid"]
        ):
            return None
    for position, reference in enumerate(references):
        if (
            isinstance(reference, dict)
            and reference.get("kind") == names.DEFINITION_KIND
            and reference.get("apiVersion") == API_VERSION
        ):
            references[position] = wanted
            break
    else:
        references.append(wanted)
    metadata["ownerReferences"] = references
    return {**revision, "metadata": cast("JsonValue", metadata)}


def _owner_reference(definition: Mapping[str, JsonValue]) -> JsonObject:
    metadata = _at(definition, "metadata")
    return {
        "apiVersion": API_VERSION,
        "kind": names.DEFINITION_KIND,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }


def _at(value: Mapping[str, JsonValue], *path: str) -> Mapping[str, JsonValue]:
    for key in path:
        part = value.get(key)
        value = part if isinstance(part, dict) else {}
    return value
