"""Schemas from the cluster of a kubeconfig's context, for `--cluster`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from kro import __version__
from kro.refs import GVK, JsonObject, Mapped
from kro.runtime import Discovery, KindNotServedError
from kro.runtime.client import Client, Transport, load_config
from kro.schema import KnownSchemas, resolve


@dataclass(frozen=True, slots=True)
class ClusterSchemas:
    """Asks the API server for the schemas of kinds, all at once."""

    kubeconfig: str = ""
    context: str = ""

    def __call__(self, kinds: Sequence[GVK], /) -> KnownSchemas:
        """Return the schemas of those kinds that the cluster serves.

        Raises:
            ClusterError: the configuration is wrong, or the API server cannot be asked.
        """
        return asyncio.run(self._fetch(kinds))

    async def _fetch(self, kinds: Sequence[GVK]) -> KnownSchemas:
        config = load_config(self.kubeconfig, context=self.context)
        client = Client(Transport(config, user_agent=f"kro/{__version__}"))
        schemas: dict[GVK, JsonObject] = {}
        mappings: dict[GVK, Mapped] = {}
        try:
            discovery = Discovery(client)
            found = await asyncio.gather(*(_kind(discovery, kind) for kind in kinds))
        finally:
            await client.aclose()
        for kind, answer in zip(kinds, found, strict=True):
            if answer is not None:
                schemas[kind], mappings[kind] = answer
        return KnownSchemas(schemas, mappings)


async def _kind(discovery: Discovery, kind: GVK) -> tuple[JsonObject, Mapped] | None:
    try:
        mapped = await discovery.mapping(kind)
    except KindNotServedError:
        return None
    document = await discovery.schema_document(kind)
    schema = resolve(document, kind) if document is not None else None
    return None if schema is None else (schema, mapped)
