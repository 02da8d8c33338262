"""kro's own conditions of an instance, besides the `Ready` that follows from them.

Source: spec instance-runtime.md §6.3, api-and-operations.md §5.4.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from kro.controllers.conditions import READY


class ConditionType(StrEnum):
    """The conditions that `Ready` depends on."""

    MANAGED = "InstanceManaged"
    RESOLVED = "GraphResolved"
    RESOURCES = "ResourcesReady"


BUILT_IN: Final = frozenset({READY, *ConditionType})
