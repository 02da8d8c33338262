"""Schemas of the kinds that definitions use, and who must hear when such a kind changes.

Custom kinds are read from the CRD informer: a CRD that becomes Established or changes is an event,
whereas its OpenAPI document appears at some later time without one. Built-in and aggregated kinds
are read from the API server's OpenAPI v3 and kept for the life of the process.

Source: spec "graph and RGD controller" §4; ARCHITECTURE, decision 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kro.controllers.crd import CRDS, is_established, is_owned
from kro.refs import GVK, GVR, GroupKind, JsonObject, JsonValue, Mapped, NamespacedName
from kro.runtime import Discovery, Informed, KindNotServedError, Scope, Stored, on_object
from kro.runtime.client import Client, NotFoundError
from kro.schema import CrdSchemas, KnownSchemas, SchemaNotFound, resolve

KIND_INDEX: Final = "kind"


def _compact(crd: JsonObject) -> JsonObject:
    """Return what is kept of a CRD: ours whole, of others no schemas."""
    metadata = crd.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    if is_owned(crd):
        return crd
    spec = crd.get("spec")
    versions = spec.get("versions") if isinstance(spec, dict) else None
    if isinstance(spec, dict) and isinstance(versions, list):
        spec["versions"] = [
            {key: version[key] for key in ("name", "served", "storage") if key in version}
            for version in versions
            if isinstance(version, dict)
        ]
    return crd


CRD_SCOPE: Final = Scope(transform=on_object(_compact))
"""How CRDs are watched: all of them, compact."""


def kind_key(stored: Stored) -> str | None:
    """Return the index key of a CRD: the kind that it serves."""
    kind = group_kind(stored.object())
    return str(kind) if kind else None


def group_kind(crd: Mapping[str, JsonValue]) -> GroupKind | None:
    """Return the kind that a CRD declares."""
    spec = crd.get("spec")
    if not isinstance(spec, dict):
        return None
    names = spec.get("names")
    kind = names.get("kind") if isinstance(names, dict) else None
    return GroupKind(str(spec.get("group", "")), kind) if isinstance(kind, str) else None


@dataclass(frozen=True, slots=True)
class Fetched:
    """The schemas of some kinds as of one moment.

    `fingerprint` differs whenever one of the schemas may differ. A kind that the cluster does not
    have is in `missing` and not in `schemas`, where asking for it raises SchemaNotFound.
    """

    schemas: KnownSchemas
    fingerprint: tuple[tuple[GVK, str], ...]
    missing: frozenset[GVK]


class Kinds:
    """Fetches schemas and remembers which definition uses which kind.

    Concurrency: one event loop; `users_of` and `use` are atomic.
    """

    def __init__(self, *, client: Client, crds: Informed, discovery: Discovery) -> None:
        self._client = client
        self._crds = crds
        self._discovery = discovery
        self._builtin: dict[GVK, tuple[JsonObject, Mapped]] = {}
        self._custom: dict[GVK, tuple[str, JsonObject, Mapped]] = {}
        self._users: dict[GroupKind, set[str]] = {}
        self._used: dict[str, frozenset[GroupKind]] = {}

    def use(self, definition: str, kinds: Iterable[GVK]) -> None:
        """Remember that this definition must hear of changes of exactly these kinds."""
        wanted = frozenset(kind.group_kind for kind in kinds)
        for kind in self._used.pop(definition, frozenset()) - wanted:
            users = self._users[kind]
            users.discard(definition)
            if not users:
                del self._users[kind]
                self._forget(kind)
        for kind in wanted:
            self._users.setdefault(kind, set()).add(definition)
        if wanted:
            self._used[definition] = wanted

    def users_of(self, crd: Mapping[str, JsonValue]) -> frozenset[str]:
        """Return the definitions that use the kind of this CRD."""
        kind = group_kind(crd)
        return frozenset(self._users.get(kind, ())) if kind else frozenset()

    async def fetch(self, kinds: Iterable[GVK]) -> Fetched:
        """Return the schemas of these kinds.

        Raises:
            ClusterError: the API server could not be asked.
        """
        wanted = tuple(dict.fromkeys(kinds))
        found = await asyncio.gather(*(self._find(kind) for kind in wanted))
        schemas: dict[GVK, JsonObject] = {}
        mappings: dict[GVK, Mapped] = {}
        fingerprint = []
        for kind, answer in zip(wanted, found, strict=True):
            fingerprint.append((kind, answer[0] if answer else ""))
            if answer:
                _, schemas[kind], mappings[kind] = answer
        return Fetched(
            KnownSchemas(schemas, mappings),
            tuple(fingerprint),
            frozenset(kind for kind in wanted if kind not in schemas),
        )

    async def mapping(self, group_kind: GroupKind) -> Mapped | None:
        """Return where a kind is served in whatever version, or None if it is not."""
        for crd in self._crds.by_index(KIND_INDEX, str(group_kind)):
            if not is_established(crd):
                continue
            for mapped in mappings(crd).values():
                return mapped
        try:
            return (await self._discovery.mapping_of(group_kind))[1]
        except KindNotServedError:
            return None

    async def _find(self, kind: GVK) -> tuple[str, JsonObject, Mapped] | None:
        crds = self._crds.by_index(KIND_INDEX, str(kind.group_kind))
        if crds:
            return await self._find_custom(kind, crds)
        known = self._builtin.get(kind)
        if known is None:
            try:
                mapped = await self._discovery.mapping(kind)
            except KindNotServedError:
                return None
            document = await self._discovery.openapi(kind.group, kind.version)
            closure = await document.closure(kind) if document else None
            schema = resolve(closure, kind) if closure else None
            if schema is None:
                return None
            known = self._builtin[kind] = (schema, mapped)
        return ("served", *known)

    async def _find_custom(
        self, kind: GVK, crds: list[JsonObject]
    ) -> tuple[str, JsonObject, Mapped] | None:
        for crd in crds:
            mapped = mappings(crd).get(kind.version)
            if mapped is None or not is_established(crd):
                continue
            metadata = crd["metadata"]
            assert isinstance(metadata, dict)
            fingerprint = f"{metadata.get('uid')}/{metadata.get('generation')}"
            cached = self._custom.get(kind)
            if cached is not None and cached[0] == fingerprint:
                return cached
            if not is_owned(crd):
                try:
                    name = NamespacedName("", str(metadata["name"]))
                    crd = await self._client.get(CRDS, name)
                except NotFoundError:
                    return None
            try:
                schema = CrdSchemas([crd]).schema(kind)
            except SchemaNotFound:
                return None
            answer = (fingerprint, schema, mapped)
            self._custom[kind] = answer
            return answer
        return None

    def _forget(self, kind: GroupKind) -> None:
        for gvk in [gvk for gvk in {*self._builtin, *self._custom} if gvk.group_kind == kind]:
            self._builtin.pop(gvk, None)
            self._custom.pop(gvk, None)


def mappings(crd: Mapping[str, JsonValue]) -> dict[str, Mapped]:
    """Return version → mapping for the served versions of a CRD, its order kept."""
    spec = crd.get("spec")
    if not isinstance(spec, dict):
        return {}
    names, versions = spec.get("names"), spec.get("versions")
    if not isinstance(names, dict) or not isinstance(versions, list):
        return {}
    return {
        str(version["name"]): Mapped(
            GVR(str(spec.get("group")), str(version["name"]), str(names.get("plural"))),
            spec.get("scope") != "Cluster",
        )
        for version in versions
        if isinstance(version, dict) and version.get("served")
    }
