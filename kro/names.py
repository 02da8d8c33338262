"""Labels, annotations, finalizers and field managers: the words that kro writes on objects.

Source: spec "API surface and operations" §4.
"""

from __future__ import annotations

import re
from typing import Final

KRO_GROUP: Final = "kro.run"
INTERNAL_GROUP: Final = "internal.kro.run"
DEFINITION_KIND: Final = "ResourceGraphDefinition"
REVISION_KIND: Final = "GraphRevision"

FINALIZER: Final = "kro.run/finalizer"

OWNED: Final = "kro.run/owned"
KRO_VERSION: Final = "kro.run/kro-version"
DEFINITION_ID: Final = "kro.run/resource-graph-definition-id"
DEFINITION_NAME: Final = "kro.run/resource-graph-definition-name"
REVISION_HASH: Final = "kro.run/graph-revision-hash"

INSTANCE_ID: Final = "kro.run/instance-id"
INSTANCE_NAME: Final = "kro.run/instance-name"
INSTANCE_NAMESPACE: Final = "kro.run/instance-namespace"
INSTANCE_GROUP: Final = "kro.run/instance-group"
INSTANCE_VERSION: Final = "kro.run/instance-version"
INSTANCE_KIND: Final = "kro.run/instance-kind"
NODE_ID: Final = "kro.run/node-id"
COLLECTION_INDEX: Final = "kro.run/collection-index"
COLLECTION_SIZE: Final = "kro.run/collection-size"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
MANAGED_BY_KRO: Final = "kro"

APPLYSET_ID: Final = "applyset.kubernetes.io/id"
APPLYSET_PART_OF: Final = "applyset.kubernetes.io/part-of"
APPLYSET_TOOLING: Final = "applyset.kubernetes.io/tooling"
APPLYSET_GROUP_KINDS: Final = "applyset.kubernetes.io/contains-group-kinds"
APPLYSET_NAMESPACES: Final = "applyset.kubernetes.io/additional-namespaces"
APPLYSET_INVENTORY_HASH: Final = "internal.kro.run/applyset-inventory-hash"

APPLY_ORDER: Final = "internal.kro.run/apply-order"
RECONCILE: Final = "kro.run/reconcile"
ALLOW_BREAKING_CHANGES: Final = "kro.run/allow-breaking-changes"

MANAGER_APPLYSET: Final = "kro.run/applyset"
"""Field manager of children."""
MANAGER_LABELLER: Final = "kro.run/labeller"
"""Field manager of an instance's finalizer and labels."""
MANAGER_APPLYSET_PARENT: Final = "kro.run/applyset-parent"
"""Field manager of an instance's inventory."""
RESERVED_PREFIXES: Final = ("kro.run/", "internal.kro.run/")
"""No template may carry literal labels or annotations that start with one of these."""

_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?", re.ASCII)


def label_safe_version(version: str) -> str:
    """Return the version as a label value: itself, or with every `+` as `-`."""
    if len(version) <= 63 and _LABEL_VALUE.fullmatch(version):
        return version
    return version.replace("+", "-")
