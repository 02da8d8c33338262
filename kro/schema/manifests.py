"""kro's own CRDs, from the one place where they stand: `config/crd`.

An installed package carries them as `kro/crds`; a checkout reads the folder itself.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from kro.errors import InvariantError
from kro.refs import JsonObject

_PACKAGED: Final = Path(__file__).parents[1] / "crds"
_CHECKOUT: Final = Path(__file__).parents[2] / "config" / "crd"
_DEFINITION: Final = "kro.run_resourcegraphdefinitions.yaml"
_REVISION: Final = "internal.kro.run_graphrevisions.yaml"


def definition_crd() -> JsonObject:
    """Return the CRD of ResourceGraphDefinition; it must not be mutated."""
    return _manifest(_DEFINITION)


def revision_crd() -> JsonObject:
    """Return the CRD of GraphRevision; it must not be mutated."""
    return _manifest(_REVISION)


@cache
def _manifest(name: str) -> JsonObject:
    import yaml  # only tools that check definitions themselves need it

    folder = _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    manifest = yaml.load((folder / name).read_text(encoding="utf-8"), Loader=loader)
    if not isinstance(manifest, dict):
        raise InvariantError(f"{folder / name} holds no manifest")
    return manifest
