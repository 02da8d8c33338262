"""The CRDs of definitions on the server: which there are, and how they become what they should be.

What is to be done is decided in `kro.controllers.crd`; here it is done.
"""

from __future__ import annotations

from kro import __version__, names
from kro.controllers.crd import (
    CRDS,
    Create,
    Patch,
    is_established,
    is_owned,
    is_terminating,
    plan,
    with_ownership,
)
from kro.graph import Graph
from kro.logs import get_logger
from kro.refs import JsonObject, JsonValue, NamespacedName
from kro.runtime import Informed
from kro.runtime.client import Client, NotFoundError

OWNER_INDEX = "definition"
"""Index of the CRD informer: by the definition that owns the CRD."""


class GeneratedCrds:
    """Creates, patches and deletes the CRDs of definitions.

    Concurrency: one event loop; one pass a definition, so one writer a CRD.
    """

    def __init__(self, *, client: Client, crds: Informed) -> None:
        self._client = client
        self._crds = crds
        self._log = get_logger("rgd-controller")

    def of(self, definition: str) -> list[JsonObject]:
        """Return the CRDs that the definition owns: its kind's, and what earlier ones left."""
        return [crd for crd in self._crds.by_index(OWNER_INDEX, definition) if is_owned(crd)]

    def served(self, definition: str) -> list[JsonObject]:
        """Return those of them that the API server serves."""
        return [crd for crd in self.of(definition) if is_established(crd)]

    async def ensure(self, definition: JsonObject, graph: Graph) -> tuple[JsonObject, bool]:
        """Return the graph's CRD as it is now, and whether that took a write.

        A CRD that is being deleted is left alone: its deletion is an event, and then it is created.

        Raises:
            CrdRefusedError: it is somebody else's, or the change would break stored instances.
            ClusterError: the write failed.
        """
        metadata = _metadata(definition)
        wanted = with_ownership(
            graph.crd, name=str(metadata["name"]), uid=str(metadata["uid"]), version=__version__
        )
        name = NamespacedName("", str(_metadata(wanted)["name"]))
        installed = self._crds.get(name)
        if installed is not None and is_terminating(installed):
            return installed, False
        match plan(installed, wanted, allow_breaking=allows_breaking(definition)):
            case Create(body):
                written = await self._client.create(CRDS, body)
                self._log.info("CRD created", crd=name.name)
            case Patch(body, breaking):
                written = await self._client.patch(CRDS, name, body)
                self._log.info("CRD changed", crd=name.name, breaking=breaking)
            case _:
                assert installed is not None
                return installed, False
        self._crds.observe(written, writer=NamespacedName("", str(metadata["name"])))
        return written, True

    async def delete(self, crd: JsonObject) -> None:
        """Ask for the CRD's deletion; its instances go with it.

        Raises:
            ClusterError: the request failed.
        """
        if is_terminating(crd):
            return
        name = NamespacedName("", str(_metadata(crd)["name"]))
        try:
            await self._client.delete(CRDS, name, uid=str(_metadata(crd)["uid"]))
        except NotFoundError:
            return
        self._log.info("CRD deleted", crd=name.name)


def allows_breaking(definition: JsonObject) -> bool:
    """Whether the author permits changes of the CRD that may break stored instances."""
    annotations = _metadata(definition).get("annotations")
    return isinstance(annotations, dict) and annotations.get(names.ALLOW_BREAKING_CHANGES) == "true"


def _metadata(manifest: JsonObject) -> dict[str, JsonValue]:
    metadata = manifest.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
