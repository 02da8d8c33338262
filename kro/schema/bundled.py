"""The kinds of a current Kubernetes, from a file inside the package: no cluster is asked.

File: four bytes, the length of the index (big-endian); the index, zlib; then one zlib blob for each
group version, a JSON object of component schemas. The index is read when the first kind is
asked for, a blob when the first kind of its group version is. Made by `hack/update-schemas`.
"""

from __future__ import annotations

import zlib
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec
import orjson

from kro.errors import InvariantError
from kro.refs import GVK, GVR, JsonObject, Mapped
from kro.schema.lookup import SchemaNotFound
from kro.schema.openapi import Document

DATA_FILE: Final = Path(__file__).parent / "data" / "kubernetes.schemas"


class BundledKind(msgspec.Struct, array_like=True, frozen=True):
    """Where a kind is served."""

    resource: str
    namespaced: bool


class BundledVersion(msgspec.Struct, array_like=True, frozen=True):
    """One group version: where its blob lies after the index, and its kinds."""

    offset: int
    length: int
    kinds: dict[str, BundledKind]


class Index(msgspec.Struct, frozen=True):
    """What the file holds. The keys of `versions` are apiVersions."""

    kubernetes: str
    versions: dict[str, BundledVersion]


class BundledSchemas:
    """The built-in kinds of one Kubernetes release.

    Concurrency: one thread at a time; nothing is shared between two of them.
    """

    def __init__(self, file: Path = DATA_FILE) -> None:
        self._file = file
        self._documents: dict[str, Document] = {}

    @property
    def kubernetes_version(self) -> str:
        """The release that the schemas were taken from: `v1.36.3`."""
        return self._header[0].kubernetes

    def schema(self, gvk: GVK, /) -> JsonObject:
        """Return the schema of one object of the kind."""
        self._kind(gvk)
        found = self._document(gvk.api_version).kind(gvk)
        if found is None:
            raise InvariantError(f"the bundled schemas list {gvk} and do not hold it")
        return found

    def mapping(self, gvk: GVK, /) -> Mapped:
        """Return the kind's endpoint and scope."""
        kind = self._kind(gvk)
        return Mapped(GVR(gvk.group, gvk.version, kind.resource), kind.namespaced)

    def kinds(self) -> list[GVK]:
        """Return every kind that is bundled."""
        return [
            GVK.of(api_version, kind)
            for api_version, version in self._header[0].versions.items()
            for kind in version.kinds
        ]

    @cached_property
    def _header(self) -> tuple[Index, int]:
        """The index, and where the blobs start."""
        with self._file.open("rb") as file:
            length = int.from_bytes(file.read(4), "big")
            index = msgspec.json.decode(zlib.decompress(file.read(length)), type=Index)
        return index, 4 + length

    def _kind(self, gvk: GVK) -> BundledKind:
        version = self._header[0].versions.get(gvk.api_version)
        if version is None or gvk.kind not in version.kinds:
            raise SchemaNotFound.among(gvk, self.kinds())
        return version.kinds[gvk.kind]

    def _document(self, api_version: str) -> Document:
        if api_version not in self._documents:
            index, start = self._header
            version = index.versions[api_version]
            with self._file.open("rb") as file:
                file.seek(start + version.offset)
                components = orjson.loads(zlib.decompress(file.read(version.length)))
            self._documents[api_version] = Document({"components": {"schemas": components}})
        return self._documents[api_version]


def write_bundle(file: Path, kubernetes: str, contents: dict[str, BundledContent]) -> None:
    """Write a bundle: the inverse of reading; equal contents give equal bytes."""
    blobs: list[bytes] = []
    versions: dict[str, BundledVersion] = {}
    offset = 0
    for api_version in sorted(contents):
        content = contents[api_version]
        blob = zlib.compress(orjson.dumps(content.components, option=orjson.OPT_SORT_KEYS), 9)
        kinds = {name: content.kinds[name] for name in sorted(content.kinds)}
        versions[api_version] = BundledVersion(offset, len(blob), kinds)
        blobs.append(blob)
        offset += len(blob)
    index = zlib.compress(msgspec.json.encode(Index(kubernetes, versions)), 9)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join((len(index).to_bytes(4, "big"), index, *blobs)))


class BundledContent(msgspec.Struct, frozen=True):
    """One group version to write: its component schemas and its kinds."""

    components: JsonObject
    kinds: dict[str, BundledKind]
