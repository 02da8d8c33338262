"""Kinds that CRD manifests define."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kro.cli.documents import Document
from kro.cli.report import Diagnostic
from kro.errors import AuthorErrors, DefinitionError
from kro.refs import GVK, JsonObject, JsonValue, Mapped
from kro.schema import CrdSchemas, SchemaNotFound

CRD_GROUP_KIND: Final = ("apiextensions.k8s.io", "CustomResourceDefinition")


class ManifestSchemas:
    """The kinds of CRD manifests; a manifest is worked on when one of its kinds is asked for."""

    def __init__(self) -> None:
        self._crds: dict[GVK, JsonObject] = {}
        self._read: dict[int, CrdSchemas] = {}

    def add(self, document: Document) -> list[Diagnostic]:
        """Make the kinds of a CRD known; return what is wrong with it."""
        crd = document.manifest
        kinds = list(_kinds(crd))
        if not kinds:
            try:
                CrdSchemas([crd])
            except AuthorErrors as errors:
                return [
                    document.diagnose(error)
                    for error in errors.exceptions
                    if isinstance(error, DefinitionError)
                ]
        for kind in kinds:
            self._crds.setdefault(kind, crd)
        return []

    def __contains__(self, gvk: object) -> bool:
        return gvk in self._crds

    def schema(self, gvk: GVK, /) -> JsonObject:
        """Return the schema of one object of the kind."""
        return self._source(gvk).schema(gvk)

    def mapping(self, gvk: GVK, /) -> Mapped:
        """Return the kind's endpoint and scope."""
        return self._source(gvk).mapping(gvk)

    def _source(self, gvk: GVK) -> CrdSchemas:
        crd = self._crds.get(gvk)
        if crd is None:
            raise SchemaNotFound.among(gvk, self._crds)
        if id(crd) not in self._read:
            try:
                self._read[id(crd)] = CrdSchemas([crd])
            except AuthorErrors:
                raise SchemaNotFound.of_kind(gvk, hint="its CRD is broken") from None
        return self._read[id(crd)]


def _kinds(crd: JsonObject) -> Iterator[GVK]:
    spec = _mapping(crd.get("spec"))
    group, kind = spec.get("group"), _mapping(spec.get("names")).get("kind")
    versions = spec.get("versions")
    for version in versions if isinstance(versions, list) else ():
        name = _mapping(version).get("name")
        if isinstance(group, str) and isinstance(kind, str) and isinstance(name, str):
            yield GVK(group, name, kind)


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
