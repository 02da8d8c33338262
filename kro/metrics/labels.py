"""How kinds and resources stand in labels: in three ways, which are kro (Go)'s.

Source: spec "API surface and operations" §8; "Controller runtime" D-24.
"""

from __future__ import annotations

from functools import lru_cache

from kro.refs import GVK, GVR


@lru_cache(maxsize=4096)
def resource_label(gvr: GVR) -> str:
    """Return `<group>/<version>, Resource=<plural>`."""
    return f"{gvr.group}/{gvr.version}, Resource={gvr.resource}"


def kind_label(gvk: GVK) -> str:
    """Return `<group>/<version>, Kind=<Kind>`."""
    return f"{gvk.group}/{gvk.version}, Kind={gvk.kind}"


def path_label(gvr: GVR) -> str:
    """Return `<group>/<version>/<plural>`."""
    return f"{gvr.group}/{gvr.version}/{gvr.resource}"
