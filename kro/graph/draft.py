"""One resource on its way to a node: its expressions found, parsed and name-checked.

Types come later, when those of all resources are known: see `kro.graph.compiler`.

Source: spec graph-and-rgd-controller.md §2.7-2.15.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kro.errors import AuthorError, DefinitionError, ExpressionError
from kro.graph import fieldpath
from kro.graph.definition import CRD_KIND, Definition, Entry
from kro.graph.expressions import (
    OMIT_MISPLACED,
    Inspected,
    Inspector,
    listed,
    places,
)
from kro.graph.fieldpath import FieldPath
from kro.graph.node import INSTANCE_ID, NodeKind
from kro.graph.problems import Problems
from kro.graph.template import Found, Misfit, walk
from kro.graph.validate import ResolvedKind
from kro.refs import JsonObject

_IDENTITY = (("metadata", "name"), ("metadata", "namespace"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A resource whose expressions are parsed and name-checked.

    Expressions with errors are left out: they were reported.
    """

    entry: Entry
    kind: ResolvedKind | None
    """None when the kind is unknown: then no type of it is known either."""
    fields: tuple[tuple[FieldPath, Inspected], ...]
    for_each: tuple[tuple[str, Inspected | None], ...]
    include_when: tuple[Inspected, ...]
    ready_when: tuple[Inspected, ...]

    @property
    def node_kind(self) -> NodeKind:
        """What kind of node the resource becomes."""
        if self.entry.external:
            return NodeKind.EXTERNAL_COLLECTION if self.entry.by_selector else NodeKind.EXTERNAL
        return NodeKind.COLLECTION if self.entry.for_each else NodeKind.RESOURCE

    @property
    def iterators(self) -> tuple[str, ...]:
        """Names of the forEach iterators, in source order."""
        return tuple(name for name, _ in self.for_each)

    def edges(self) -> Mapping[str, Inspected]:
        """Return what the resource depends on, each with the first expression that says so."""
        sources = [found for _, found in self.fields]
        sources += [found for _, found in self.for_each if found is not None]
        sources += self.include_when
        skipped = {INSTANCE_ID, *self.iterators}
        return {name: found for name, found in places(sources).items() if name not in skipped}


def read_draft(
    entry: Entry,
    kind: ResolvedKind | None,
    definition: Definition,
    inspector: Inspector,
    problems: Problems,
) -> Draft:
    """Return the draft of an entry; what is wrong with literals and names is reported."""
    iterators = tuple(text.name for text in entry.for_each)
    fields: list[tuple[FieldPath, Inspected]] = []
    lost: set[FieldPath] = set()
    for item in _walk_entry(entry, kind):
        path = fieldpath.below(entry.template_path, item.path)
        if isinstance(item, Misfit):
            problems.add(_placed(item.error, path, entry))
            lost.add(item.path)
            continue
        found = inspector.inspect_free(
            item.template,
            path,
            owner=entry.id,
            where="failed to extract dependencies: ",
            iterators=iterators,
        )
        if found is None:
            lost.add(item.path)
        else:
            fields.append((item.path, found))
    draft = Draft(
        entry=entry,
        kind=kind,
        fields=tuple(fields),
        for_each=tuple(_read_for_each(entry, iterators, inspector, problems)),
        include_when=tuple(_read_include_when(entry, inspector)),
        ready_when=tuple(_read_ready_when(entry, inspector)),
    )
    namespaced = kind is None or kind.mapped.namespaced
    has_metadata = entry.template is not None and isinstance(entry.template.get("metadata"), dict)
    if has_metadata and not entry.external and lost.isdisjoint(_IDENTITY):
        _check_identity(draft, namespaced, problems)
    _check_omit_in_identity(draft, namespaced and definition.cluster_scoped, problems)
    return draft


def _placed(error: AuthorError, path: str, entry: Entry) -> AuthorError:
    if not entry.external:
        return error.at(path)
    problem = f"failed to parse external ref resource {entry.id}: {error.problem}"
    return type(error)(problem, path=path, excerpt=error.excerpt, hint=error.hint)


def _walk_entry(entry: Entry, kind: ResolvedKind | None) -> Iterator[Found | Misfit]:
    """Yield what the walk finds, held against the rules of the entry's form."""
    if entry.template is None:
        return
    is_crd = kind is not None and kind.gvk == CRD_KIND
    template: JsonObject = entry.template
    if not isinstance(template.get("metadata"), dict):
        template = {key: value for key, value in template.items() if key != "metadata"}
    schema = None if kind is None or is_crd or entry.external else kind.schema
    for item in walk(template, schema):
        if item.path[0] in ("apiVersion", "kind"):
            continue  # read as they are, and reported where they are read
        outside = isinstance(item, Found) and item.path[0] != "metadata"
        if is_crd and outside and not entry.external:
            yield Misfit(
                item.path,
                DefinitionError(
                    "CEL expressions in CRDs are only supported for metadata fields, found in "
                    f'path "{fieldpath.join(item.path)}", resource {entry.id}'
                ),
            )
        else:
            yield item


def _read_for_each(
    entry: Entry, iterators: tuple[str, ...], inspector: Inspector, problems: Problems
) -> Iterator[tuple[str, Inspected | None]]:
    for text in entry.for_each:
        if text.reported:
            yield text.name, None
            continue
        template = inspector.standalone(
            text,
            "failed to parse forEach dimensions: invalid forEach expression for dimension "
            f'"{text.name}": ',
        )
        found = None
        if template is not None:
            found = inspector.inspect_free(
                template,
                text.path,
                owner=entry.id,
                where=f'failed to extract dependencies from forEach iterator "{text.name}": ',
                iterators=iterators,
            )
        where = f'node "{entry.id}": forEach iterator "{text.name}"'
        if found:
            used = [name for name in found.names if name in iterators]
            if used:
                problems.add(
                    ExpressionError(
                        f"{where} cannot reference other iterators [{listed(used)}] - forEach "
                        "iterators are independent (cartesian product)",
                        path=text.path,
                        excerpt=found.place(used[0]),
                    )
                )
                found = None
            elif found.references.uses_omit:
                problems.add(
                    ExpressionError(
                        f"{where}: {OMIT_MISPLACED}",
                        path=text.path,
                        excerpt=found.place("omit()"),
                    )
                )
                found = None
        yield text.name, found


def _read_include_when(entry: Entry, inspector: Inspector) -> Iterator[Inspected]:
    for text in entry.include_when:
        template = inspector.standalone(text, "failed to parse includeWhen expressions: ")
        found = template and inspector.inspect_free(
            template,
            text.path,
            owner=entry.id,
            where="failed to extract dependencies from includeWhen: ",
        )
        if found:
            yield found


def _read_ready_when(entry: Entry, inspector: Inspector) -> Iterator[Inspected]:
    own = "each" if entry.for_each and not entry.external else entry.id
    for text in entry.ready_when:
        template = inspector.standalone(text, "failed to parse readyWhen expressions: ")
        found = template and inspector.inspect_restricted(
            template,
            text.path,
            where=f'resource "{entry.id}" readyWhen: ',
            allowed=(own,),
            hint=f"readyWhen sees nothing but {own}"
            + (", one object of the collection" if own == "each" else ""),
        )
        if found:
            yield found


def _check_identity(draft: Draft, namespaced: bool, problems: Problems) -> None:
    paths = _IDENTITY if namespaced else _IDENTITY[:1]
    used = {name for path, found in draft.fields if path in paths for name in found.names}
    missing = [name for name in draft.iterators if name not in used]
    if missing:
        problems.definition(
            f'node "{draft.entry.id}": all forEach dimensions must be used to produce a unique '
            f"resource identity, missing: [{listed(missing)}]",
            f"{draft.entry.template_path}.metadata.name",
            hint=f"use ${{{missing[0]}}} in metadata.name"
            + (" or metadata.namespace" if namespaced else ""),
        )


def _check_omit_in_identity(draft: Draft, with_namespace: bool, problems: Problems) -> None:
    paths = _IDENTITY if with_namespace else _IDENTITY[:1]
    for path, found in draft.fields:
        if path in paths and found.references.uses_omit:
            problems.add(
                ExpressionError(
                    f'resource "{draft.entry.id}": omit() cannot be used at path '
                    f'"{fieldpath.join(path)}" — the field is required and must resolve to a '
                    "concrete value",
                    path=found.path,
                    excerpt=found.place("omit()"),
                )
            )
