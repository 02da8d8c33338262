"""The schema of a kind, out of the API server's OpenAPI v3 document of its group version.

The documents are large (the core one has 700 components) and a graph needs a few kinds of them,
so references are inlined per kind and on demand. What was inlined once is shared by every place
that refers to it, and equal leaves are one object. Source: graph-and-rgd-controller.md §4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from kro.refs import GVK, JsonObject, JsonValue

MAX_DEPTH: Final = 100
"""Deeper nodes are plain objects; no schema that a person wrote nests like that."""

_PROSE: Final = frozenset(("description", "externalDocs", "example", "title"))
_NESTED: Final = frozenset(("properties", "items", "additionalProperties", "allOf"))
_REF: Final = "#/components/schemas/"
_GVKS: Final = "x-kubernetes-group-version-kind"

_NONE: Final[frozenset[str]] = frozenset()


class _Inlined(NamedTuple):
    """A schema without references, and how it came about."""

    schema: JsonObject
    cuts: frozenset[str]
    """Components that were being inlined, where a plain object stands for them."""
    names: frozenset[str]
    """Components that are part of it."""

    def with_sibling(
        self, cuts: frozenset[str], names: frozenset[str]
    ) -> tuple[JsonObject, frozenset[str], frozenset[str]]:
        """Return the schema, and its history joined with that of a part beside it."""
        return self.schema, cuts | self.cuts, names | self.names


class Document:
    """One OpenAPI v3 document; the schemas of its kinds share their subtrees.

    Promises: the document is not changed; what `kind` returned once it returns again. Prose is left
    out. Assumes that nobody mutates what it returns.
    """

    def __init__(self, document: JsonObject) -> None:
        schemas = _mapping(_mapping(document.get("components")).get("schemas"))
        self._components = schemas
        self._kinds: dict[GVK, str] | None = None
        self._inlined: dict[str, _Inlined] = {}
        self._leaves: dict[tuple[tuple[str, object], ...], JsonObject] = {}

    def kind(self, gvk: GVK) -> JsonObject | None:
        """Return the schema of a kind with every reference inlined; None when it has no such kind.

        A reference to a schema that is being inlined becomes a plain object.
        """
        name = self.kinds().get(gvk)
        return None if name is None else self._component(name, (), 0).schema

    def kinds(self) -> dict[GVK, str]:
        """Return the kinds that the document describes, each with the name of its component."""
        if self._kinds is None:
            self._kinds = {
                gvk: name
                for name, schema in self._components.items()
                for gvk in _gvks(_mapping(schema))
            }
        return self._kinds

    def _component(self, name: str, open_names: tuple[str, ...], depth: int) -> _Inlined:
        """Return a component inlined.

        It is kept for its other uses unless it was cut at a component further out; and what is kept
        serves only where none of the components in it is being inlined.
        """
        kept = self._inlined.get(name)
        if kept is not None and kept.names.isdisjoint(open_names):
            return kept
        schema = self._components.get(name)
        if name in open_names or not isinstance(schema, dict):
            return _Inlined(self._leaf({"type": "object"}), frozenset((name,)), _NONE)
        found = self._inline(schema, (*open_names, name), depth)
        inlined = _Inlined(found.schema, found.cuts - {name}, found.names | {name})
        if not inlined.cuts:
            self._inlined[name] = inlined
        return inlined

    def _inline(self, schema: JsonObject, open_names: tuple[str, ...], depth: int) -> _Inlined:
        if depth > MAX_DEPTH:
            return _Inlined(self._leaf({"type": "object"}), _NONE, _NONE)
        if (target := _reference(schema)) is not None:
            return self._component(target, open_names, depth + 1)
        cuts = names = _NONE
        result: JsonObject = {}
        for key, value in schema.items():
            if key in _PROSE or key == _GVKS:
                continue
            if key == "properties" and isinstance(value, dict):
                properties: JsonObject = {}
                for name, item in value.items():
                    found = self._inline(_mapping(item), open_names, depth + 1)
                    properties[name], cuts, names = found.with_sibling(cuts, names)
                result[key] = properties
            elif key in ("items", "additionalProperties") and isinstance(value, dict):
                found = self._inline(value, open_names, depth + 1)
                result[key], cuts, names = found.with_sibling(cuts, names)
            else:
                result[key] = value
        leaf = self._leaf(result) if _NESTED.isdisjoint(result) else result
        return _Inlined(leaf, cuts, names)

    def _leaf(self, schema: JsonObject) -> JsonObject:
        """Return the one object that stands for all leaves equal to this."""
        key = tuple((name, repr(value)) for name, value in sorted(schema.items()))
        return self._leaves.setdefault(key, schema)


def resolve(document: JsonObject, gvk: GVK) -> JsonObject | None:
    """Return the schema of a kind out of its group version's document; None when it has none."""
    return Document(document).kind(gvk)


def lean(schema: JsonObject) -> JsonObject:
    """Return a schema that holds no references, without prose and no deeper than `MAX_DEPTH`."""
    return Document({})._inline(schema, (), 0).schema


def _reference(schema: JsonObject) -> str | None:
    """Return the component that a node stands for: by a `$ref`, also one wrapped in `allOf`."""
    parts: list[JsonValue] = [schema]
    wrapped = schema.get("allOf")
    if isinstance(wrapped, list):
        parts += wrapped
    for part in parts:
        target = _mapping(part).get("$ref")
        if isinstance(target, str) and target.startswith(_REF):
            return target.removeprefix(_REF)
    return None


def _gvks(schema: JsonObject) -> Iterator[GVK]:
    listed = schema.get(_GVKS)
    for item in listed if isinstance(listed, list) else ():
        gvk = _mapping(item)
        yield GVK(str(gvk.get("group", "")), str(gvk.get("version", "")), str(gvk.get("kind", "")))


def _mapping(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
