"""What the API server serves: kinds, their endpoints, and their OpenAPI documents.

One aggregated answer fills the memory at the first use; after that only single group versions are
asked, when somebody looks for a kind that is not known, or when `forget` said that a CRD of the
group has changed. So a broken aggregated API server costs its own group only, and kinds that come
and go never cause a sweep over all groups. Servers without aggregated discovery get there by the
same road, one group version at a time.

Source: spec "Controller runtime" P-121, F-43; KEP-3352 (aggregated discovery), KEP-2896 (OpenAPI
v3 by group version and hash).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import msgspec

from kro.errors import ClusterError
from kro.refs import GVK, GVR, GroupKind, JsonObject, Mapped
from kro.runtime.client import Client, NotServedError
from kro.runtime.openapi import INDEX_AGE_S, OpenAPIDocument, OpenAPIDocuments, TypeName, read_as

AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json"
)
MISS_PAUSE_S = 5.0
"""How long the answer "not there" of one group version holds."""
MISSING_SCHEMA_PAUSE_S = 1.0
"""How long the answer "no schema yet" of one group version holds: the server publishes late."""


class KindNotServedError(ClusterError):
    """The API server does not serve the kind (any more, or yet)."""

    reason = "KindNotServed"

    def __init__(self, what: GVK | GVR | GroupKind) -> None:
        super().__init__(f"the cluster does not serve {what}")
        self.what = what


class Resource(msgspec.Struct, frozen=True):
    """One endpoint: the kind behind it, and what can be done there."""

    kind: GVK
    gvr: GVR
    namespaced: bool
    verbs: frozenset[str]

    @property
    def mapped(self) -> Mapped:
        """The endpoint as a REST mapping."""
        return Mapped(self.gvr, self.namespaced)


class _AggregatedResource(msgspec.Struct, rename="camel"):
    resource: str
    scope: str
    response_kind: TypeName | None = None
    verbs: frozenset[str] = frozenset()


class _AggregatedVersion(msgspec.Struct):
    version: str
    resources: list[_AggregatedResource] = []
    freshness: str = ""


class _Name(msgspec.Struct):
    name: str = ""


class _AggregatedGroup(msgspec.Struct):
    metadata: _Name
    versions: list[_AggregatedVersion] = []


class _GroupVersion(msgspec.Struct):
    version: str


class _Group(msgspec.Struct, rename="camel"):
    name: str = ""
    versions: list[_GroupVersion] = []
    preferred_version: _GroupVersion | None = None


class _Groups(msgspec.Struct):
    """`/api` or `/apis` in any of its three forms."""

    kind: str = ""
    items: list[_AggregatedGroup] = []
    groups: list[_Group] = []
    versions: list[str] = []


class _PlainResource(msgspec.Struct):
    name: str
    kind: str
    namespaced: bool = False
    group: str = ""
    version: str = ""
    verbs: frozenset[str] = frozenset()


class _PlainResources(msgspec.Struct):
    resources: list[_PlainResource] = []


class _Versions(msgspec.Struct):
    """What is known of one group version, and since when."""

    by_kind: dict[str, Resource]
    by_name: dict[str, Resource]
    asked: float

    @classmethod
    def of(cls, resources: Iterable[Resource], asked: float) -> _Versions:
        known = list(resources)
        # The first endpoint of a kind is its own; later ones only return it.
        by_kind: dict[str, Resource] = {}
        for each in known:
            by_kind.setdefault(each.kind.kind, each)
        return cls(by_kind, {each.gvr.resource: each for each in known}, asked)


class Discovery:
    """The kinds that an API server serves, kept in memory only.

    Concurrency: one event loop. Look-ups of one group wait for one another and share the answer;
    those of different groups do not.
    """

    def __init__(self, client: Client, *, now: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._now = now
        self._primed = False
        self._versions: dict[str, tuple[str, ...]] = {}
        self._served: dict[tuple[str, str], _Versions] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._openapi = OpenAPIDocuments(client, now=now)

    async def mapping(self, gvk: GVK) -> Mapped:
        """Return where the API server serves a kind.

        Raises:
            KindNotServedError: it does not.
            ClusterError: it could not be asked.
        """
        return (await self._find(gvk.group, gvk.version, kind=gvk.kind, what=gvk)).mapped

    async def kind(self, gvr: GVR) -> tuple[GVK, bool]:
        """Return the kind behind an endpoint and whether it is namespaced.

        Raises:
            KindNotServedError: there is no such endpoint.
            ClusterError: the API server could not be asked.
        """
        found = await self._find(gvr.group, gvr.version, name=gvr.resource, what=gvr)
        return found.kind, found.namespaced

    async def verbs(self, gvr: GVR) -> frozenset[str]:
        """Return the verbs of an endpoint, such as `watch`.

        Raises:
            KindNotServedError: there is no such endpoint.
            ClusterError: the API server could not be asked.
        """
        return (await self._find(gvr.group, gvr.version, name=gvr.resource, what=gvr)).verbs

    async def is_served(self, gvr: GVR) -> bool:
        """Return whether there is such an endpoint.

        Raises:
            ClusterError: the API server could not be asked.
        """
        try:
            await self._find(gvr.group, gvr.version, name=gvr.resource, what=gvr)
        except KindNotServedError:
            return False
        return True

    async def mapping_of(self, group_kind: GroupKind) -> tuple[GVK, Mapped]:
        """Return the version of a kind to use, the group's preferred one if it has it.

        Raises:
            KindNotServedError: no version is served.
            ClusterError: the API server could not be asked.
        """
        group, kind = group_kind
        await self._prime()
        async with self._lock(group):
            for version in await self._versions_of(group):
                known = await self._ask(group, version, wanted=lambda v: kind in v.by_kind)
                found = known.by_kind.get(kind)
                if found is not None:
                    return found.kind, found.mapped
        raise KindNotServedError(group_kind)

    def known(self, gvk: GVK) -> Mapped | None:
        """Return where a kind is served, from memory alone."""
        versions = self._served.get((gvk.group, gvk.version))
        found = versions.by_kind.get(gvk.kind) if versions is not None else None
        return found.mapped if found is not None else None

    def forget(self, group: str, version: str = "") -> None:
        """Drop what is known of a group, or one version of it: the next use asks again."""
        self._versions.pop(group, None)
        for key in [key for key in self._served if key[0] == group]:
            if not version or key[1] == version:
                del self._served[key]
        self._openapi.forget()

    async def openapi(self, group: str, version: str) -> OpenAPIDocument | None:
        """Return the OpenAPI v3 document of a group version, or None if none is published.

        Raises:
            ClusterError: the API server could not be asked.
        """
        return await self._openapi.document(GVR(group, version, "").path, INDEX_AGE_S)

    async def schema_document(self, gvk: GVK) -> JsonObject | None:
        """Return the part of the group version's OpenAPI document that a kind needs.

        A kind that the document lacks is looked for anew after a second, since the API server
        publishes the schema of a new CRD a moment after it serves it.

        Shape: `{"components": {"schemas": {name: schema}}}`, closed under `$ref`; the kind's own
        schema carries `x-kubernetes-group-version-kind`.

        Raises:
            ClusterError: the API server could not be asked.
        """
        path = GVR(gvk.group, gvk.version, "").path
        for age_s in (INDEX_AGE_S, MISSING_SCHEMA_PAUSE_S):
            document = await self._openapi.document(path, age_s)
            if document is not None and gvk in document.kinds:
                return await document.closure(gvk)
        return None

    async def _find(
        self,
        group: str,
        version: str,
        *,
        what: GVK | GVR,
        kind: str = "",
        name: str = "",
    ) -> Resource:
        def pick(versions: _Versions) -> Resource | None:
            return versions.by_kind.get(kind) if kind else versions.by_name.get(name)

        known = self._served.get((group, version))
        found = pick(known) if known is not None else None
        if found is None:
            await self._prime()
            async with self._lock(group):
                known = await self._ask(group, version, wanted=lambda v: pick(v) is not None)
            found = pick(known)
        if found is None:
            raise KindNotServedError(what)
        return found

    async def _ask(
        self, group: str, version: str, *, wanted: Callable[[_Versions], bool]
    ) -> _Versions:
        """Return what is known of a group version, asking unless it suffices or is fresh."""
        known = self._served.get((group, version))
        if known is not None and (wanted(known) or self._now() - known.asked < MISS_PAUSE_S):
            return known
        asked = self._now()
        try:
            body = await self._client.read(GVR(group, version, "").path)
        except NotServedError:
            answer = _PlainResources()
        else:
            answer = read_as(_PlainResources, body)
        fresh = _Versions.of(_plain(group, version, answer), asked)
        self._served[group, version] = fresh
        return fresh

    async def _versions_of(self, group: str) -> tuple[str, ...]:
        versions = self._versions.get(group)
        if versions:
            return versions
        if not group:
            return ("v1",)
        try:
            answer = read_as(_Group, await self._client.read(f"/apis/{group}"))
        except NotServedError:
            return ()
        versions = _preferred_first(answer)
        self._versions[group] = versions
        return versions

    async def _prime(self) -> None:
        if self._primed:
            return
        async with self._lock("/"):
            if self._primed:
                return
            asked = self._now()
            for path in ("/api", "/apis"):
                groups = read_as(_Groups, await self._client.read(path, accept=AGGREGATED))
                self._learn(groups, asked)
            self._primed = True

    def _learn(self, groups: _Groups, asked: float) -> None:
        if groups.kind != "APIGroupDiscoveryList":
            if groups.versions:
                self._versions[""] = tuple(groups.versions)
            for plain in groups.groups:
                self._versions[plain.name] = _preferred_first(plain)
            return
        for group in groups.items:
            name = group.metadata.name
            self._versions[name] = tuple(each.version for each in group.versions)
            for each in group.versions:
                # A stale version belongs to an API server that does not answer: ask it when needed.
                if each.freshness != "Stale":
                    self._served.setdefault(
                        (name, each.version),
                        _Versions.of(_aggregated(name, each), asked),
                    )

    def _lock(self, group: str) -> asyncio.Lock:
        return self._locks.setdefault(group, asyncio.Lock())


def _preferred_first(group: _Group) -> tuple[str, ...]:
    versions = [each.version for each in group.versions]
    if group.preferred_version is not None and group.preferred_version.version in versions:
        versions.remove(group.preferred_version.version)
        versions.insert(0, group.preferred_version.version)
    return tuple(versions)


def _aggregated(group: str, version: _AggregatedVersion) -> Iterable[Resource]:
    for each in version.resources:
        kind = each.response_kind
        if kind is None or not kind.kind:
            continue
        yield Resource(
            GVK(kind.group, kind.version, kind.kind)
            if kind.version
            else GVK(group, version.version, kind.kind),
            GVR(group, version.version, each.resource),
            each.scope == "Namespaced",
            each.verbs,
        )


def _plain(group: str, version: str, answer: _PlainResources) -> Iterable[Resource]:
    for each in answer.resources:
        if "/" not in each.name:  # a subresource
            yield Resource(
                GVK(each.group or group, each.version or version, each.kind),
                GVR(group, version, each.name),
                each.namespaced,
                each.verbs,
            )
