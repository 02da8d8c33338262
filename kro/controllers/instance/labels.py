"""What kro writes on children and instances besides what the author wrote.

Source: spec instance-runtime.md §4.2, §5.2; api-and-operations.md §4.5-4.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from kro import names
from kro.graph import Graph, Node
from kro.graph.evaluation import Decorate
from kro.refs import GVK, JsonObject, NamespacedName


def decorator(
    graph: Graph, instance: JsonObject, *, gvk: GVK, set_id: str, version: str
) -> Decorate:
    """Return what puts labels and annotations of membership on every child of one instance."""
    metadata = cast("JsonObject", instance["metadata"])
    common = {
        names.MANAGED_BY: names.MANAGED_BY_KRO,
        names.OWNED: "true",
        names.KRO_VERSION: names.label_safe_version(version),
        names.INSTANCE_ID: str(metadata.get("uid") or ""),
        names.INSTANCE_NAME: str(metadata["name"]),
        names.INSTANCE_GROUP: gvk.group,
        names.INSTANCE_VERSION: gvk.version,
        names.INSTANCE_KIND: gvk.kind,
        names.APPLYSET_PART_OF: set_id,
    }
    if namespace := metadata.get("namespace"):
        common[names.INSTANCE_NAMESPACE] = str(namespace)

    def decorate(node: Node, manifest: JsonObject, index: int, size: int, /) -> JsonObject:
        own = cast("JsonObject", manifest["metadata"])
        labels = {**_mapping(own.get("labels")), **common, names.NODE_ID: node.id}
        if node.kind.is_collection:
            labels |= {names.COLLECTION_INDEX: str(index), names.COLLECTION_SIZE: str(size)}
        annotations = {
            **_mapping(own.get("annotations")),
            names.APPLY_ORDER: str(graph.waves.get(node.id, 0)),
        }
        return {**manifest, "metadata": {**own, "labels": labels, "annotations": annotations}}

    return decorate


def _mapping(value: object) -> JsonObject:
    return cast("JsonObject", value) if isinstance(value, Mapping) else {}


def instance_labels(*, version: str, definition_name: str, definition_uid: str) -> dict[str, str]:
    """Return the labels that every instance carries."""
    return {
        names.OWNED: "true",
        names.KRO_VERSION: names.label_safe_version(version),
        names.DEFINITION_ID: definition_uid,
        names.DEFINITION_NAME: definition_name,
    }


def owner_of(labels: Mapping[str, str], gvk: GVK) -> NamespacedName | None:
    """Return the instance of the given kind that a child's labels name, or None."""
    if (
        labels.get(names.INSTANCE_KIND) != gvk.kind
        or labels.get(names.INSTANCE_GROUP) != gvk.group
        or names.INSTANCE_NAME not in labels
    ):
        return None
    return NamespacedName(labels.get(names.INSTANCE_NAMESPACE, ""), labels[names.INSTANCE_NAME])


def owner_text(labels: Mapping[str, str]) -> str:
    """Return which instance a child's labels name, of whatever kind; nothing if they name none."""
    kind, name = labels.get(names.INSTANCE_KIND), labels.get(names.INSTANCE_NAME)
    if not kind or not name:
        return ""
    return f"{kind} {NamespacedName(labels.get(names.INSTANCE_NAMESPACE, ''), name)}"


def is_suspended(instance: Mapping[str, object]) -> bool:
    """Return whether the user asked to leave the instance alone."""
    metadata = instance.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    value = annotations.get(names.RECONCILE) if isinstance(annotations, Mapping) else None
    return isinstance(value, str) and value.lower() in ("suspended", "disabled")
