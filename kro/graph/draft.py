"""One resource on its way to a node: walked and name-checked, then type-checked and compiled.

A draft goes through two steps, because types of other resources are needed only in the second:
`read_draft` gives what the resource refers to, `Compiler.finish` its compiled node.

Source: spec graph-and-rgd-controller.md §2.7-2.16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kro.cel import DYN, CelType, Environment, Expression, Kind, accepts, is_bool_result, list_of
from kro.errors import AuthorError, DefinitionError, Excerpt, ExpressionError
from kro.graph import fieldpath
from kro.graph.definition import CRD_KIND, Definition, Entry
from kro.graph.expressions import (
    OMIT_MISPLACED,
    Inspected,
    Inspector,
    compile_expression,
    places,
    shown,
)
from kro.graph.fieldpath import FieldPath
from kro.graph.node import INSTANCE_ID, Dimension, FieldKind, Node, NodeKind, TemplateField
from kro.graph.problems import Problems
from kro.graph.template import Found, Misfit, expected_type, walk
from kro.graph.validate import ResolvedKind
from kro.refs import JsonObject

_IDENTITY = (("metadata", "name"), ("metadata", "namespace"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A resource whose expressions are parsed and name-checked.

    What was reported is left out of the lists; `whole` tells whether anything was.
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
    if (
        draft.iterators
        and not entry.external
        and not lost.intersection((*_IDENTITY, ("metadata",)))
    ):
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
                        f"{where} cannot reference other iterators [{' '.join(used)}] - forEach "
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
            f"resource identity, missing: [{' '.join(missing)}]",
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


class Compiler:
    """Type-checks and compiles the drafts of one definition.

    Names in `untyped` stand for resources whose type is not known because of an error reported
    already; what merely follows from that is not reported.
    """

    def __init__(
        self, environment: Environment, untyped: frozenset[str], problems: Problems
    ) -> None:
        self._environment = environment
        self._untyped = untyped
        self._problems = problems

    def finish(
        self, draft: Draft, type_: CelType | None, depends_on: frozenset[str]
    ) -> Node | None:
        """Return the node of a draft; `type_` is that of one object of its kind.

        None, with the reasons reported, when something does not fit.
        """
        entry = draft.entry
        dimensions, iterator_types, untyped = self._dimensions(draft)
        environment = self._environment.extend(iterator_types) if iterator_types else None
        fields = tuple(self._fields(draft, environment, untyped))
        include_when = tuple(self._booleans(draft, "includeWhen", draft.include_when))
        each: dict[str, CelType] = {}
        if draft.node_kind is NodeKind.COLLECTION and type_ is not None:
            each = {"each": type_}
        ready_when = tuple(self._booleans(draft, "readyWhen", draft.ready_when, each))
        if draft.kind is None or entry.template is None:
            return None
        return Node(
            id=entry.id,
            index=entry.index,
            kind=draft.node_kind,
            gvk=draft.kind.gvk,
            mapped=draft.kind.mapped,
            template=entry.template,
            fields=fields,
            depends_on=depends_on,
            include_when=include_when,
            include_reads=tuple(
                frozenset(found.names) - {INSTANCE_ID} for found in draft.include_when
            ),
            ready_when=ready_when,
            for_each=dimensions,
            schema=draft.kind.schema,
            schema_type=type_,
        )

    def _dimensions(
        self, draft: Draft
    ) -> tuple[tuple[Dimension, ...], dict[str, CelType], frozenset[str]]:
        dimensions: list[Dimension] = []
        types: dict[str, CelType] = {}
        untyped = set(self._untyped)
        for name, found in draft.for_each:
            types[name] = DYN
            where = f'node "{draft.entry.id}": forEach iterator "{name}"'
            expression = None
            if found is not None:
                prefix = f"{where}: failed to type-check expression: "
                expression = compile_expression(self._environment, found, prefix, self._problems)
            if found is None or expression is None:
                untyped.add(name)
            elif expression.type.kind is Kind.LIST:
                types[name] = expression.type.params[0]
                dimensions.append(Dimension(name=name, expression=expression))
            else:
                untyped.add(name)
                if not self._follows(found, expression):
                    self._problems.add(
                        ExpressionError(
                            f'{where} must return a list, got "{expression.type}"',
                            path=found.path,
                            excerpt=_start(found),
                            hint=_list_hint(expression.type),
                        )
                    )
        return tuple(dimensions), types, frozenset(untyped)

    def _fields(
        self, draft: Draft, environment: Environment | None, untyped: frozenset[str]
    ) -> Iterator[TemplateField]:
        for path, found in draft.fields:
            where = fieldpath.join(path)
            expression = compile_expression(
                environment or self._environment,
                found,
                f'failed to compile template expression "{shown(found.template)}" '
                f'at path "{where}": ',
                self._problems,
            )
            if expression is None:
                continue
            self._check_field(draft, path, found, expression, untyped)
            kind = FieldKind.STATIC
            if not set(draft.iterators).isdisjoint(found.names):
                kind = FieldKind.ITERATION
            elif any(name != INSTANCE_ID for name in found.names):
                kind = FieldKind.DYNAMIC
            yield TemplateField(path=path, expression=expression, kind=kind)

    def _check_field(
        self,
        draft: Draft,
        path: FieldPath,
        found: Inspected,
        expression: Expression,
        untyped: frozenset[str],
    ) -> None:
        if draft.kind is None or not untyped.isdisjoint(found.names):
            return
        expected = expected_type(draft.kind.schema, draft.entry.id, path) or DYN
        reason = accepts(expected, expression.type)
        if reason is not None:
            self._problems.add(
                ExpressionError(
                    f'type mismatch in resource "{draft.entry.id}" at path '
                    f'"{fieldpath.join(path)}": expression "{shown(found.template)}" returns '
                    f'type "{expression.type}" but expected "{expected}": {reason}',
                    path=found.path,
                    excerpt=_start(found),
                    hint=_conversion_hint(expected, expression.type, found),
                )
            )

    def _booleans(
        self,
        draft: Draft,
        field: str,
        conditions: tuple[Inspected, ...],
        extra: Mapping[str, CelType] | None = None,
    ) -> Iterator[Expression]:
        environment = self._environment.extend(extra) if extra else self._environment
        for found in conditions:
            named = f'{field} expression "{shown(found.template)}"'
            expression = compile_expression(
                environment,
                found,
                f'failed to type-check {named} in resource "{draft.entry.id}": ',
                self._problems,
            )
            if expression is None:
                continue
            if is_bool_result(expression.type) or self._follows(found, expression):
                yield expression
                continue
            self._problems.add(
                ExpressionError(
                    f'{named} in resource "{draft.entry.id}" must return bool or '
                    f'optional_type(bool), but returns "{expression.type}"',
                    path=found.path,
                    excerpt=_start(found),
                    hint="compare it, or convert it with bool(...)"
                    if expression.type.kind is Kind.DYN
                    else "",
                )
            )

    def _follows(self, found: Inspected, expression: Expression) -> bool:
        """Return whether a result is untyped because something it refers to is."""
        return expression.type.kind is Kind.DYN and not self._untyped.isdisjoint(found.names)


def variable_type(draft: Draft, type_: CelType) -> CelType:
    """Return the type under which other expressions see a resource."""
    return list_of(type_) if draft.node_kind.is_collection else type_


def _start(found: Inspected) -> Excerpt:
    return found.template.excerpt(0)


def _list_hint(got: CelType) -> str:
    match got.kind:
        case Kind.DYN:
            return "give it a type: x.map(item, item)"
        case Kind.MAP:
            return "to run over its keys: x.map(key, key)"
        case Kind.OPTIONAL:
            return "say what to use when it is absent: .orValue([])"
    return ""


def _conversion_hint(expected: CelType, got: CelType, found: Inspected) -> str:
    source = shown(found.template)
    short = found.template.standalone and len(source) <= 60 and "\n" not in source
    inner = source.strip() if short else "…"
    if expected.kind is Kind.STRING and got.kind in (Kind.INT, Kind.UINT, Kind.DOUBLE, Kind.BOOL):
        return f"write ${{string({inner})}}"
    if expected.kind is Kind.INT and got.kind in (Kind.STRING, Kind.DOUBLE, Kind.UINT):
        return f"write ${{int({inner})}}"
    if expected.kind is Kind.DOUBLE and got.kind in (Kind.STRING, Kind.INT, Kind.UINT):
        return f"write ${{double({inner})}}"
    if expected.kind is Kind.BYTES and got.kind is Kind.STRING:
        return f"write ${{dyn(base64.encode(bytes({inner})))}}"
    if expected.kind is Kind.LIST and expected.params == (got,):
        return f"write ${{[{inner}]}}"
    return ""
