"""What kro writes on the instance itself besides its status: finalizer, labels, inventory.

Order is what makes a crash harmless: the finalizer comes with an inventory that a deletion can work
from, and the inventory covers a child before the child exists.

Source: spec instance-runtime.md §4.3, §5.2 step 6; api-and-operations.md §4.5.
"""

from __future__ import annotations

from typing import cast

from kro import names
from kro.controllers.instance.applyset import (
    Inventory,
    InventoryError,
    annotations_of,
    carried,
    labels_of,
    recorded,
    trusted,
)
from kro.controllers.instance.kind import Kind
from kro.refs import JsonObject, NamespacedName
from kro.runtime import has_finalizer


async def ensure_managed(
    kind: Kind, live: JsonObject, *, set_id: str, labels: dict[str, str]
) -> JsonObject:
    """Return the instance with finalizer and labels in place; nothing is sent if they are.

    Whatever the instance carries of its inventory goes along, so that none of it is released.

    Raises:
        InventoryError: the finalizer is missing and the inventory that is there cannot be trusted.
        ClusterError: the write failed.
    """
    if has_finalizer(live, names.FINALIZER) and labels.items() <= labels_of(live).items():
        return live
    set_labels, annotations = carried(live)
    if not has_finalizer(live, names.FINALIZER):
        if set_labels or annotations:
            try:
                trusted(live, set_id)
            except InventoryError as error:
                raise InventoryError(
                    "cannot install finalizer with invalid ApplySet inventory; repair the "
                    "metadata, or remove it only after confirming no managed members remain: "
                    f"{error}"
                ) from error
        else:
            set_labels = {names.APPLYSET_ID: set_id}
            annotations = Inventory().annotations(set_id, kind.settings.version)
    metadata: dict[str, object] = {
        "labels": {**labels, **set_labels},
        "finalizers": [names.FINALIZER],
    }
    if annotations:
        metadata["annotations"] = annotations
    return await _apply(kind, live, metadata, manager=names.MANAGER_LABELLER)


async def ensure_inventory(
    kind: Kind, live: JsonObject, inventory: Inventory, *, set_id: str
) -> JsonObject:
    """Return the instance with exactly this inventory recorded; nothing is sent if it is.

    Raises:
        ClusterError: the write failed.
    """
    annotations = inventory.annotations(set_id, kind.settings.version)
    if (
        labels_of(live).get(names.APPLYSET_ID) == set_id
        and annotations.items() <= annotations_of(live).items()
    ):
        return live
    metadata: dict[str, object] = {
        "labels": {names.APPLYSET_ID: set_id},
        "annotations": annotations,
    }
    return await _apply(kind, live, metadata, manager=names.MANAGER_APPLYSET_PARENT)


async def widen_inventory(
    kind: Kind, live: JsonObject, inventory: Inventory, *, set_id: str
) -> JsonObject:
    """Return the instance with an inventory that also covers `inventory`.

    Raises:
        InventoryError: what is recorded cannot be read.
        ClusterError: the write failed.
    """
    return await ensure_inventory(kind, live, recorded(live) | inventory, set_id=set_id)


async def _apply(
    kind: Kind, live: JsonObject, metadata: dict[str, object], *, manager: str
) -> JsonObject:
    name = name_of_instance(live)
    identity: dict[str, object] = {"name": name.name}
    if name.namespace:
        identity["namespace"] = name.namespace
    # The uid keeps the write from creating an instance that was deleted meanwhile.
    identity["uid"] = cast("JsonObject", live["metadata"]).get("uid")
    body = cast(
        "JsonObject",
        {
            "apiVersion": kind.gvk.api_version,
            "kind": kind.gvk.kind,
            "metadata": {**identity, **metadata},
        },
    )
    with kind.instances.writing(name):
        answer = await kind.client.apply(
            kind.mapped.gvr, name, body, field_manager=manager, force=True
        )
    kind.instances.observe(answer, writer=kind.key(name))
    return answer


def name_of_instance(live: JsonObject) -> NamespacedName:
    """Return namespace and name of an instance."""
    metadata = cast("JsonObject", live["metadata"])
    return NamespacedName(str(metadata.get("namespace") or ""), str(metadata["name"]))
