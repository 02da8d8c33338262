"""What identifies a pass across kinds."""

from __future__ import annotations

from typing import NamedTuple

from kro.refs import GVR, NamespacedName


class ObjectKey(NamedTuple):
    """One object of one resource; nothing about an event travels with it."""

    gvr: GVR
    name: NamespacedName

    def __str__(self) -> str:
        """Return `resource.version.group namespace/name`."""
        return f"{self.gvr} {self.name}"
