"""From a definition to a graph: every rule is held here, in one pass over the text.

The stages are those of kro (Go), but none stops the next one: all errors of a definition are found
at once, and what merely follows from one that was reported is not reported again. A resource whose
kind is unknown counts as `dyn` in the expressions of others, an expression whose names are wrong is
not type-checked.

Source: spec graph-and-rgd-controller.md §1.5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kro.cel import DYN, CelType, Environment, schema_type
from kro.errors import DefinitionError, SchemaError
from kro.graph.compiler import Compiler, variable_type
from kro.graph.conditions import compile_conditions, read_conditions
from kro.graph.content import check_json
from kro.graph.dag import deletion_waves, find_cycles, topological_order
from kro.graph.definition import Definition, read_definition
from kro.graph.draft import Draft, read_draft
from kro.graph.expressions import Inspected, Inspector, Typed, places
from kro.graph.node import INSTANCE_ID, Gates, Graph, InstanceNode, Limits, Node
from kro.graph.problems import Problems
from kro.graph.revision import spec_hash
from kro.graph.rules import check_rules
from kro.graph.status import compile_status, read_status
from kro.graph.validate import KIND_PATH, check_names, resolve_kind
from kro.refs import JsonObject, JsonValue
from kro.schema import (
    Schemas,
    check_crd,
    check_spec_schema,
    crd_gvk,
    crd_mapped,
    instance_schema,
    read_spec_schema,
    synthesize_crd,
    validations,
)

_LIMITS = Limits()
_GATES = Gates()


def build(
    name: str,
    spec: JsonValue,
    schemas: Schemas,
    *,
    limits: Limits = _LIMITS,
    gates: Gates = _GATES,
) -> Graph:
    """Return the compiled graph of the definition called `name`; `spec` is not changed.

    Raises:
        AuthorErrors: the definition cannot work. The group holds everything that is wrong with it:
            first the schema's errors, then each resource's, in source order.

    Source: spec graph-and-rgd-controller.md chapters 1-5.
    """
    problems = Problems(name)
    check_json(spec, ("spec",), problems)
    problems.raise_all()
    spec = json.loads(json.dumps(spec))  # the graph keeps templates, and nobody else may have them
    definition = read_definition(spec, problems)
    check_names(definition, limits, problems)
    schema = _build_schema(definition, problems)
    drafts = _read_drafts(definition, schemas, gates, problems)
    inspector = drafts.inspector
    status = read_status(
        definition.schema.get("status"), {*drafts.by_id, INSTANCE_ID}, inspector, problems
    )
    conditions = read_conditions(status.conditions, drafts.by_id, inspector, problems)
    depends_on = _depends_on(drafts, problems)

    types = {
        id_: schema_type(draft.kind.schema, f"__type_{id_}")
        for id_, draft in drafts.by_id.items()
        if draft.kind is not None
    }
    untyped = frozenset(id_ for id_, draft in drafts.by_id.items() if draft.kind is None)
    if not schema.whole:
        untyped |= {INSTANCE_ID}
    variables = _variables(drafts, types, schema)
    typed = Typed(drafts.environment.extend(variables), problems)
    compiler = Compiler(typed, untyped, problems)
    nodes: dict[str, Node] = {}
    for draft in drafts.all:
        id_ = draft.entry.id
        node = compiler.finish(draft, types.get(id_), depends_on.get(id_, frozenset()))
        if node is not None:
            nodes.setdefault(id_, node)
    status_fields, status_schema = compile_status(status, typed, problems)
    compiled_conditions = compile_conditions(conditions, typed, untyped, problems)
    crd = synthesize_crd(definition.schema, schema.spec, status_schema)
    if schema.whole and definition.has_schema:
        problems.extend(error for error in check_crd(crd) if error.path != KIND_PATH)
    problems.raise_all()

    order = topological_order(depends_on)
    return Graph(
        name=name,
        nodes=nodes,
        order=order,
        waves=deletion_waves(depends_on, order),
        instance=InstanceNode(
            gvk=crd_gvk(crd),
            mapped=crd_mapped(crd),
            status_fields=status_fields,
            conditions=compiled_conditions,
            depends_on=_instance_depends_on(
                [found for _, found in status.fields], conditions, drafts.by_id
            ),
            schema=schema.variable,
            schema_type=schema.type,
        ),
        crd=crd,
        hash=_hash(spec),
        limits=limits,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Schema:
    """What the author's schema says about the instance."""

    spec: JsonObject
    variable: JsonObject
    type: CelType | None
    whole: bool
    """False: the author's schema has errors, and the fields they are in count as untyped."""


def _build_schema(definition: Definition, problems: Problems) -> _Schema:
    given = definition.schema.get("spec")
    spec, errors = read_spec_schema(given, definition.schema.get("types"))
    problems.extend(
        SchemaError(
            f"failed to build OpenAPI schema for instance: {error.problem}",
            path=f"spec.schema.{error.path}",
            excerpt=error.excerpt,
            hint=error.hint,
        )
        for error in errors
    )
    if not errors:
        problems.extend(
            error.at(f"spec.schema.{error.path}") for error in check_spec_schema(given, spec)
        )
        check_rules(validations(given, spec), problems)
    variable = instance_schema(synthesize_crd(definition.schema, spec, None))
    return _Schema(
        spec=spec,
        variable=variable,
        type=schema_type(variable, f"__type_{INSTANCE_ID}"),
        whole=not errors,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drafts:
    all: tuple[Draft, ...]
    by_id: Mapping[str, Draft]
    """Of several drafts with one id, the first."""
    environment: Environment
    inspector: Inspector


def _read_drafts(
    definition: Definition, schemas: Schemas, gates: Gates, problems: Problems
) -> _Drafts:
    environment = Environment(omit=gates.omit)
    ids = [entry.id for entry in definition.entries]
    inspector = Inspector(environment, ids, problems, omit=gates.omit)
    drafts: list[Draft] = []
    for entry in definition.entries:
        kind = resolve_kind(entry, definition, schemas, problems)
        drafts.append(read_draft(entry, kind, definition, inspector, problems))
    by_id: dict[str, Draft] = {}
    for draft in drafts:
        by_id.setdefault(draft.entry.id, draft)
    return _Drafts(all=tuple(drafts), by_id=by_id, environment=environment, inspector=inspector)


def _depends_on(drafts: _Drafts, problems: Problems) -> dict[str, frozenset[str]]:
    edges = {id_: draft.edges() for id_, draft in drafts.by_id.items()}
    depends_on = {id_: frozenset(found) for id_, found in edges.items()}
    for cycle in find_cycles(depends_on):
        first = edges[cycle[0]][cycle[1]]
        problems.add(
            DefinitionError(
                f"graph contains a cycle: {' -> '.join(cycle)}",
                path=first.path,
                excerpt=first.place(cycle[1]),
                hint="each arrow reads `depends on`",
            )
        )
    return depends_on


def _variables(
    drafts: _Drafts, types: Mapping[str, CelType | None], schema: _Schema
) -> dict[str, CelType]:
    """Return the variables of the definition; a schema without type gives no variable."""
    variables: dict[str, CelType] = {}
    for id_, draft in drafts.by_id.items():
        type_ = types.get(id_)
        if draft.kind is None:
            variables[id_] = DYN
        elif type_ is not None:
            variables[id_] = variable_type(draft, type_)
    if schema.type is not None:
        variables[INSTANCE_ID] = schema.type
    return variables


def _instance_depends_on(
    fields: Sequence[Inspected], conditions: Sequence[Inspected], ids: Mapping[str, Draft]
) -> frozenset[str]:
    referred = {name for name in places(conditions) if name in ids}
    referred.update(name for name in places(fields) if name in ids or name == INSTANCE_ID)
    return frozenset(referred)


def _hash(spec: JsonValue) -> str:
    assert isinstance(spec, dict)
    return spec_hash(spec)
