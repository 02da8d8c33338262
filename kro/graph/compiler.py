"""From drafts to nodes: every expression type-checked, compiled, and held against its place.

Source: spec graph-and-rgd-controller.md §2.11-2.16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kro.cel import DYN, CelType, Expression, Kind, accepts, is_bool_result, list_of
from kro.errors import Excerpt, ExpressionError
from kro.graph import fieldpath
from kro.graph.draft import Draft
from kro.graph.expressions import Inspected, Typed, shown
from kro.graph.fieldpath import FieldPath
from kro.graph.node import INSTANCE_ID, Dimension, FieldKind, Node, NodeKind, TemplateField
from kro.graph.problems import Problems
from kro.graph.template import expected_type


class Compiler:
    """Type-checks and compiles the drafts of one definition.

    Names in `untyped` stand for resources whose type is not known because of an error reported
    already; what merely follows from that is not reported.
    """

    def __init__(self, typed: Typed, untyped: frozenset[str], problems: Problems) -> None:
        self._typed = typed
        self._untyped = untyped
        self._problems = problems

    def finish(
        self, draft: Draft, type_: CelType | None, depends_on: frozenset[str]
    ) -> Node | None:
        """Return the node of a draft; `type_` is that of one object of its kind.

        None, with the reasons reported, when something does not fit.
        """
        entry = draft.entry
        dimensions, iterator_types = self._dimensions(draft)
        fields = tuple(self._fields(draft, self._typed.extend(iterator_types)))
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

    def _dimensions(self, draft: Draft) -> tuple[tuple[Dimension, ...], dict[str, CelType]]:
        dimensions: list[Dimension] = []
        types: dict[str, CelType] = {}
        for name, found in draft.for_each:
            types[name] = DYN
            where = f'node "{draft.entry.id}": forEach iterator "{name}"'
            expression = None
            if found is not None:
                prefix = f"{where}: failed to type-check expression: "
                expression = self._typed.compile(found, prefix)
            if found is None or expression is None:
                continue
            if expression.type.kind is Kind.LIST:
                types[name] = expression.type.params[0]
                dimensions.append(Dimension(name=name, expression=expression))
            elif not self._follows(found, expression):
                self._problems.add(
                    ExpressionError(
                        f'{where} must return a list, got "{expression.type}"',
                        path=found.path,
                        excerpt=_start(found),
                        hint=_list_hint(expression.type),
                    )
                )
        return tuple(dimensions), types

    def _fields(self, draft: Draft, with_iterators: Typed) -> Iterator[TemplateField]:
        iterators = set(draft.iterators)
        for path, found in draft.fields:
            kind = FieldKind.STATIC
            if not iterators.isdisjoint(found.names):
                kind = FieldKind.ITERATION
            elif any(name != INSTANCE_ID for name in found.names):
                kind = FieldKind.DYNAMIC
            typed = with_iterators if kind is FieldKind.ITERATION else self._typed
            expression = typed.compile(
                found,
                f'failed to compile template expression "{shown(found.template)}" '
                f'at path "{fieldpath.join(path)}": ',
            )
            if expression is None:
                continue
            self._check_field(draft, path, found, expression)
            yield TemplateField(path=path, expression=expression, kind=kind)

    def _check_field(
        self, draft: Draft, path: FieldPath, found: Inspected, expression: Expression
    ) -> None:
        if draft.kind is None:
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
        typed = self._typed.extend(extra or {})
        for found in conditions:
            named = f'{field} expression "{shown(found.template)}"'
            where = f'failed to type-check {named} in resource "{draft.entry.id}": '
            expression = typed.compile(found, where)
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
        if "base64.encode(" in source:  # right as it is, but for the checker
            return f"write ${{dyn({inner})}}"
        return f"write ${{dyn(base64.encode(bytes({inner})))}}"
    if expected.kind is Kind.LIST and expected.params == (got,):
        return f"write ${{[{inner}]}}"
    while expected.kind is got.kind is Kind.LIST:
        expected, got = expected.params[0], got.params[0]
    if expected.kind is Kind.STRUCT and got.kind is Kind.MAP:
        return f"a map with values of one type is held against every field: write ${{dyn({inner})}}"
    return ""
