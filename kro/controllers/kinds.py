"""Schemas of the kinds that definitions use, and who must hear when such a kind changes.

Custom kinds are read from the CRD informer: a CRD that becomes Established or changes is an event,
whereas its OpenAPI document appears at some later time without one. Built-in and aggregated kinds
are read from the API server's OpenAPI v3 and kept for the life of the process.

Source: spec "graph and RGD controller" §4; ARCHITECTURE, decision 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias, TypeVar

from kro.controllers.crd import CRDS, is_established, is_owned
from kro.refs import GVK, GVR, GroupKind, JsonObject, JsonValue, Mapped, NamespacedName
from kro.runtime import Discovery, Informed, KindNotServedError, Scope, Stored, on_object
from kro.runtime.client import Client, NotFoundError
from kro.schema import CrdSchemas, KnownSchemas, SchemaNotFound, resolve

KIND_INDEX: Final = "kind"

T = TypeVar("T")
Found: TypeAlias = tuple[str, JsonObject, Mapped]
"""Fingerprint, schema, and where the kind is served."""


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


class SchemaMetrics(Protocol):
    """What looking schemas up counts."""

    def looked_up(self, *, known: bool) -> None:
        """A schema was asked for."""
        ...

    def fetched(self, duration_s: float, *, failed: bool) -> None:
        """The API server was asked for a schema."""
        ...

    def shared(self) -> None:
        """A look-up waited for another one's fetch and needs none of its own."""
        ...

    def kept(self, schemas: int, *, evicted: int = 0) -> None:
        """So many schemas are kept now, and so many were dropped just now."""
        ...


class NoSchemaMetrics:
    """Counts nothing."""

    def looked_up(self, *, known: bool) -> None:
        """Count nothing."""

    def fetched(self, duration_s: float, *, failed: bool) -> None:
        """Count nothing."""

    def shared(self) -> None:
        """Count nothing."""

    def kept(self, schemas: int, *, evicted: int = 0) -> None:
        """Count nothing."""


class Kinds:
    """Fetches schemas and remembers which definition uses which kind.

    Concurrency: one event loop; `users_of` and `use` are atomic. Look-ups of one kind that come
    while it is being fetched wait for that and use what it found.
    """

    def __init__(
        self,
        *,
        client: Client,
        crds: Informed,
        discovery: Discovery,
        metrics: SchemaMetrics | None = None,
    ) -> None:
        self._client = client
        self._crds = crds
        self._discovery = discovery
        self._metrics: SchemaMetrics = metrics or NoSchemaMetrics()
        self._fetching: dict[GVK, asyncio.Lock] = {}
        self._builtin: dict[GVK, tuple[JsonObject, Mapped]] = {}
        self._custom: dict[GVK, Found] = {}
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

    async def _find(self, kind: GVK) -> Found | None:
        known = self._known(kind)
        self._metrics.looked_up(known=known is not None)
        if known is not None:
            return known
        lock = self._fetching.setdefault(kind, asyncio.Lock())
        waited = lock.locked()
        try:
            async with lock:
                if waited and (known := self._known(kind)) is not None:
                    self._metrics.shared()
                    return known
                return await self._load(kind)
        finally:
            if not lock.locked():
                self._fetching.pop(kind, None)

    def _known(self, kind: GVK) -> Found | None:
        crds = self._crds.by_index(KIND_INDEX, str(kind.group_kind))
        if not crds:
            builtin = self._builtin.get(kind)
            return None if builtin is None else ("served", *builtin)
        serving, known = _serving(crds, kind), self._custom.get(kind)
        if serving is None or known is None or known[0] != _fingerprint(serving[0]):
            return None
        return known

    async def _load(self, kind: GVK) -> Found | None:
        """Return what is kept from now on, where there is something to keep."""
        crds = self._crds.by_index(KIND_INDEX, str(kind.group_kind))
        if crds:
            return await self._load_custom(kind, crds)
        fetched = await self._timed(self._fetch_builtin(kind))
        if fetched is None:
            return None
        self._builtin[kind] = fetched
        self._count()
        return ("served", *fetched)

    async def _load_custom(self, kind: GVK, crds: Iterable[JsonObject]) -> Found | None:
        serving = _serving(crds, kind)
        if serving is None:
            return None
        crd, mapped = serving
        fingerprint = _fingerprint(crd)
        if not is_owned(crd):
            whole = await self._timed(self._fetch_crd(_metadata(crd)))
            if whole is None:
                return None
            crd = whole
        try:
            schema = CrdSchemas([crd]).schema(kind)
        except SchemaNotFound:
            return None
        outdated = kind in self._custom
        found = self._custom[kind] = (fingerprint, schema, mapped)
        self._count(evicted=int(outdated))
        return found

    async def _timed(self, fetch: Awaitable[T | None]) -> T | None:
        """Return what a fetch finds; that it finds nothing is a failure to whoever asked."""
        loop = asyncio.get_running_loop()
        started, found = loop.time(), None
        try:
            found = await fetch
        finally:
            self._metrics.fetched(loop.time() - started, failed=found is None)
        return found

    async def _fetch_builtin(self, kind: GVK) -> tuple[JsonObject, Mapped] | None:
        try:
            mapped = await self._discovery.mapping(kind)
        except KindNotServedError:
            return None
        document = await self._discovery.openapi(kind.group, kind.version)
        closure = await document.closure(kind) if document else None
        schema = resolve(closure, kind) if closure else None
        return None if schema is None else (schema, mapped)

    async def _fetch_crd(self, metadata: Mapping[str, JsonValue]) -> JsonObject | None:
        try:
            return await self._client.get(CRDS, NamespacedName("", str(metadata["name"])))
        except NotFoundError:
            return None

    def _forget(self, kind: GroupKind) -> None:
        dropped = 0
        for kept in (self._builtin, self._custom):
            for gvk in [gvk for gvk in kept if gvk.group_kind == kind]:
                del kept[gvk]
                dropped += 1
        self._count(evicted=dropped)

    def _count(self, *, evicted: int = 0) -> None:
        self._metrics.kept(len(self._builtin) + len(self._custom), evicted=evicted)


def _serving(crds: Iterable[JsonObject], kind: GVK) -> tuple[JsonObject, Mapped] | None:
    """Return the CRD that serves the kind, and where it is served."""
    for crd in crds:
        mapped = mappings(crd).get(kind.version)
        if mapped is not None and is_established(crd):
            return crd, mapped
    return None


def _fingerprint(crd: JsonObject) -> str:
    metadata = _metadata(crd)
    return f"{metadata.get('uid')}/{metadata.get('generation')}"


def _metadata(crd: JsonObject) -> JsonObject:
    metadata = crd["metadata"]
    assert isinstance(metadata, dict)
    return metadata


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
