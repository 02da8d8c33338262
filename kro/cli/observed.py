"""Objects that exist already, from files: what a cluster would answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from kro.cli.documents import read_documents
from kro.cli.report import Diagnostic
from kro.errors import InvariantError
from kro.graph import Node
from kro.graph.evaluation import (
    Answer,
    Applied,
    Apply,
    Fetch,
    Found,
    Look,
    Looked,
    Seen,
    Select,
    Step,
    name_of,
)
from kro.refs import GroupKind, JsonObject, JsonValue, NamespacedName


class Observed:
    """Objects by kind and name."""

    def __init__(self, objects: Mapping[tuple[GroupKind, NamespacedName], JsonObject]) -> None:
        self._objects = objects

    def find(self, node: Node, name: NamespacedName) -> JsonObject | None:
        """Return an object of a node's kind."""
        where = name if node.mapped.namespaced else NamespacedName("", name.name)
        return self._objects.get((node.gvk.group_kind, where))

    def select(self, node: Node, namespace: str, selector: str) -> tuple[JsonObject, ...]:
        """Return the objects of a node's kind that a selector matches, by name."""
        from kro.runtime import LabelSelector  # nobody else needs it here

        wanted = LabelSelector.parse(selector)
        return tuple(
            found
            for (kind, name), found in sorted(self._objects.items(), key=lambda pair: pair[0])
            if kind == node.gvk.group_kind
            and (not namespace or name.namespace == namespace)
            and wanted.matches(_labels(found))
        )

    def merged(self, node: Node, desired: JsonObject) -> JsonObject:
        """Return an object as it is after the apply, as far as that can be told."""
        live = self.find(node, name_of(desired))
        return desired if live is None else cast("JsonObject", _overlaid(live, desired))

    def answer(self, step: Step) -> Answer:
        """Return what the cluster would answer to a step of a frame."""
        match step:
            case Look(node, desired):
                live = (self.find(node, name_of(one)) for one in desired)
                return Looked(node.id, tuple(Seen(found) for found in live))
            case Fetch(node, name):
                found = self.find(node, name)
                return Found(node.id, () if found is None else (found,))
            case Select(node, namespace, selector):
                return Found(node.id, self.select(node, namespace, selector))
            case Apply(node, targets):
                return Applied(node.id, tuple(self.merged(node, one.desired) for one in targets))
        raise InvariantError(f"no answer to {type(step).__name__}")


def read_observed(names: Sequence[str], diagnostics: list[Diagnostic]) -> Observed:
    """Return the objects in files and folders; what is wrong with these is added to the list.

    Raises:
        UsageError: a file cannot be read.
    """
    objects: dict[tuple[GroupKind, NamespacedName], JsonObject] = {}
    documents, found = read_documents(names)
    diagnostics.extend(found)
    for document in documents:
        gvk, metadata = document.gvk, document.manifest.get("metadata")
        if gvk is not None and document.name and isinstance(metadata, dict):
            namespace = metadata.get("namespace")
            name = NamespacedName(namespace if isinstance(namespace, str) else "", document.name)
            objects[gvk.group_kind, name] = document.manifest
    return Observed(objects)


def _labels(manifest: JsonObject) -> dict[str, str]:
    metadata = manifest.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return {key: str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}


def _overlaid(live: JsonValue, desired: JsonValue) -> JsonValue:
    """Return the live value with the desired one on top: objects by key, all else as a whole."""
    if isinstance(live, dict) and isinstance(desired, dict):
        return {**live, **{key: _overlaid(live.get(key), item) for key, item in desired.items()}}
    return desired
