"""Where the schemas of kinds come from: one protocol, and its sources that need no cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, Self

from kro.errors import AuthorErrors, DefinitionError, Excerpt
from kro.refs import GVK, GVR, JsonObject, JsonValue, Mapped
from kro.schema.crd import object_schema
from kro.schema.openapi import lean
from kro.schema.suggest import nearest


class SchemaNotFound(DefinitionError):
    """No source knows a kind: its name or version is misspelt, or its CRD is not installed."""

    def __init__(
        self,
        problem: str,
        *,
        gvk: GVK | None = None,
        path: str = "",
        excerpt: Excerpt | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(problem, path=path, excerpt=excerpt, hint=hint)
        self.gvk = gvk

    @classmethod
    def of_group_version(cls, gvk: GVK, *, hint: str = "") -> Self:
        """Return the error for a group version that nobody serves."""
        problem = f'cannot resolve group version "{gvk.api_version}": schema not found'
        return cls(problem, gvk=gvk, hint=hint)

    @classmethod
    def of_kind(cls, gvk: GVK, *, hint: str = "") -> Self:
        """Return the error for a group version without this kind."""
        problem = f'cannot resolve group version kind "{gvk}": schema not found'
        return cls(problem, gvk=gvk, hint=hint)

    @classmethod
    def of_mapping(cls, gvk: GVK, *, hint: str = "") -> Self:
        """Return the error for a kind that the API server has no endpoint for."""
        problem = f'no matches for kind "{gvk.kind}" in version "{gvk.api_version}"'
        return cls(problem, gvk=gvk, hint=hint)

    @classmethod
    def among(cls, gvk: GVK, known: Iterable[GVK]) -> Self:
        """Return the error that fits, with the known kind or version that may have been meant."""
        versions, kinds = set(), set()
        for other in known:
            if other.kind == gvk.kind:
                versions.add(other.api_version)
            if other.api_version == gvk.api_version:
                kinds.add(other.kind)
        near = nearest(gvk.kind, kinds)
        hint = f"{gvk.kind} exists in {', '.join(sorted(versions))}" if versions else ""
        if kinds:
            return cls.of_kind(gvk, hint=hint or (f"did you mean {near}?" if near else ""))
        return cls.of_group_version(gvk, hint=hint)

    def at(self, path: str) -> Self:
        """Return the same error, placed at `path`."""
        return type(self)(
            self.problem, gvk=self.gvk, path=path, excerpt=self.excerpt, hint=self.hint
        )


class Schemas(Protocol):
    """Knows kinds: their OpenAPI schemas and where the API server serves them.

    Promises: schemas have their references inlined and are never mutated by anyone; within one
    build the same kind gives the same answer.
    """

    def schema(self, gvk: GVK, /) -> JsonObject:
        """Return the schema of one object of the kind.

        Raises:
            SchemaNotFound: the kind is not known here.
        """
        ...

    def mapping(self, gvk: GVK, /) -> Mapped:
        """Return the kind's endpoint and scope.

        Raises:
            SchemaNotFound: the kind is not known here.
        """
        ...


class KnownSchemas:
    """Schemas and mappings that somebody has already fetched."""

    def __init__(self, schemas: Mapping[GVK, JsonObject], mappings: Mapping[GVK, Mapped]) -> None:
        self._schemas = schemas
        self._mappings = mappings

    def schema(self, gvk: GVK, /) -> JsonObject:
        """Return the schema of one object of the kind."""
        found = self._schemas.get(gvk)
        if found is None:
            raise SchemaNotFound.among(gvk, self._schemas)
        return found

    def mapping(self, gvk: GVK, /) -> Mapped:
        """Return the kind's endpoint and scope."""
        found = self._mappings.get(gvk)
        if found is None:
            raise SchemaNotFound.of_mapping(gvk)
        return found


class CrdSchemas(KnownSchemas):
    """The kinds that CRD manifests define, in every version they serve."""

    def __init__(self, crds: Iterable[JsonObject]) -> None:
        schemas: dict[GVK, JsonObject] = {}
        mappings: dict[GVK, Mapped] = {}
        errors: list[DefinitionError] = []
        for index, crd in enumerate(crds):
            try:
                for gvk, schema, mapped in _served(crd):
                    schemas[gvk], mappings[gvk] = schema, mapped
            except DefinitionError as error:
                name = _mapping(crd.get("metadata")).get("name") or f"number {index + 1}"
                errors.append(DefinitionError(f"CRD {name}: {error.problem}", path=error.path))
        if errors:
            raise AuthorErrors("CRDs that define no kind", errors)
        super().__init__(schemas, mappings)


class ChainedSchemas:
    """Several sources; the first that knows a kind answers for it."""

    def __init__(self, *sources: Schemas) -> None:
        self._sources = sources

    def schema(self, gvk: GVK, /) -> JsonObject:
        """Return the schema of one object of the kind."""
        return self._source(gvk)[1]

    def mapping(self, gvk: GVK, /) -> Mapped:
        """Return the kind's endpoint and scope, from the source that gives its schema."""
        return self._source(gvk)[0].mapping(gvk)

    def _source(self, gvk: GVK) -> tuple[Schemas, JsonObject]:
        missing: SchemaNotFound | None = None
        for source in self._sources:
            try:
                return source, source.schema(gvk)
            except SchemaNotFound as error:
                # The error that says most: one with a hint beats one without.
                if missing is None or (error.hint and not missing.hint):
                    missing = error
        raise missing or SchemaNotFound.of_group_version(gvk)


def _served(crd: JsonObject) -> Iterable[tuple[GVK, JsonObject, Mapped]]:
    spec = _mapping(crd.get("spec"))
    names = _mapping(spec.get("names"))
    group, kind, plural = spec.get("group"), names.get("kind"), names.get("plural")
    if not (isinstance(group, str) and isinstance(kind, str) and isinstance(plural, str)):
        raise DefinitionError("spec.group, spec.names.kind and spec.names.plural are required")
    versions = spec.get("versions")
    if not isinstance(versions, list) or not versions:
        raise DefinitionError("at least one version is required", path="spec.versions")
    for index, item in enumerate(versions):
        version = _mapping(item)
        name = version.get("name")
        if not isinstance(name, str):
            raise DefinitionError("a version needs a name", path=f"spec.versions[{index}].name")
        if version.get("served") is False:
            continue
        mapped = Mapped(GVR(group, name, plural), spec.get("scope") != "Cluster")
        yield GVK(group, name, kind), lean(object_schema(crd, version)), mapped


def _mapping(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
