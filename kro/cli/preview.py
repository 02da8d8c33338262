"""An instance's manifests before anything is applied, with what cannot be known yet.

A frame (the controller's own evaluation) tells what would be applied at once, and whether something
is broken. Beyond that point every expression is evaluated by itself. What a cluster fills in counts
as unknown: the status of objects that were not given as observed, their uid and the like, and
whatever depends on these, also where an expression has a fallback for missing data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import cast

from kro.cel import OMIT, Expression, Pending, list_of, wrap
from kro.cli.observed import Observed
from kro.cli.report import Diagnostic
from kro.cli.unknowns import SERVER_SET, Unknowns
from kro.cli.workspace import Instance
from kro.errors import DefinitionError, EvaluationError, Excerpt
from kro.graph import INSTANCE_ID, FieldKind, FieldPath, Graph, Node, NodeKind, fieldpath
from kro.graph.evaluation import Frame, Look, Verdict, name_of, wire_number
from kro.refs import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only a cluster can tell."""

    expression: str
    """The author's text."""

    def marker(self) -> str:
        """Return what stands in the manifest instead."""
        return f"<known after apply: {self.expression}>"


@dataclass(slots=True)
class Rendered:
    """One node of an instance."""

    node: Node
    wave: int
    included: bool | None = True
    """None: it cannot be known."""
    at_once: bool = False
    """Whether it is applied without waiting for another node."""
    manifests: list[JsonObject] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Paths of marked values."""
    missing: bool = False
    """An external reference that finds nothing among the observed objects."""
    open_size: bool = False
    """A collection whose number of objects cannot be known; the one manifest stands for all."""


@dataclass(slots=True)
class Preview:
    """What an instance would apply, in waves."""

    instance: JsonObject
    nodes: list[Rendered]
    errors: list[Diagnostic]


def preview(instance: Instance, observed: Observed) -> Preview:
    """Return the manifests of an instance whose definition has a graph."""
    graph = instance.definition.graph
    assert graph is not None
    return _Renderer(instance, graph, observed).render()


class _Renderer:
    def __init__(self, instance: Instance, graph: Graph, observed: Observed) -> None:
        self._instance = instance
        self._graph = graph
        self._observed = observed
        self._object = _in_namespace(instance.value, graph)
        metadata = cast("JsonObject", self._object["metadata"])
        self._namespace = str(metadata.get("namespace") or "")
        visible: JsonObject = {key: value for key, value in self._object.items() if key != "status"}
        self._bindings: dict[str, object] = {INSTANCE_ID: wrap(visible, graph.instance.schema_type)}
        self._unknowns = Unknowns()
        self._unknowns.put(
            INSTANCE_ID,
            [path for path in SERVER_SET if path[0] == "metadata" and path[1] not in metadata],
        )
        self._errors: list[Diagnostic] = []
        self._found: Mapping[str, object] = {}
        """What the frame sees of nodes."""

    def render(self) -> Preview:
        looked = self._run_frame()
        nodes: list[Rendered] = []
        skipped: set[str] = set()
        for id_ in self._graph.order:
            node = self._graph.nodes[id_]
            rendered = Rendered(node, self._graph.waves[id_], at_once=id_ in looked)
            try:
                if node.depends_on & skipped:
                    rendered.included = False
                else:
                    self._render(rendered)
            except EvaluationError as error:
                self._fail(node, "template", error)
            if rendered.included is False:
                skipped.add(id_)
            nodes.append(rendered)
        nodes.sort(key=lambda one: one.wave)
        return Preview(self._object, nodes, self._errors)

    def _run_frame(self) -> set[str]:
        """Return the nodes that would be applied at once."""
        metadata = cast("JsonObject", self._object["metadata"])
        served: JsonObject = {"uid": "", "resourceVersion": "", "generation": 1, **metadata}
        frame = Frame(self._graph, {**self._object, "metadata": served})
        looked: set[str] = set()
        while steps := frame.next_steps():
            looked.update(step.node.id for step in steps if isinstance(step, Look))
            frame.record([self._observed.answer(step) for step in steps])
        self._found = frame.bindings
        outcome = frame.outcome()
        if outcome.verdict is Verdict.CONFLICTING:
            document = self._instance.document
            self._errors.append(document.diagnose(DefinitionError(outcome.message)))
        return looked

    # one node

    def _render(self, rendered: Rendered) -> None:
        node = rendered.node
        rendered.included = self._is_included(node)
        if rendered.included is False:
            return
        if node.kind.is_external:
            rendered.missing = not self._bind_external(node)
        elif node.kind is NodeKind.COLLECTION:
            self._render_collection(rendered)
        else:
            self._add(rendered, self._bindings)
        if not node.kind.is_external:
            self._bind(rendered)

    def _is_included(self, node: Node) -> bool | None:
        known = True
        for number, expression in enumerate(node.include_when):
            value = self._value(node, f"includeWhen[{number}]", expression, self._bindings)
            if isinstance(value, Unknown):
                known = False
            elif value is not True:
                return False
        return True if known else None

    def _render_collection(self, rendered: Rendered) -> None:
        node = rendered.node
        lists: list[list[JsonValue]] = []
        inherited: dict[str, tuple[FieldPath, ...]] = {}
        for number, dimension in enumerate(node.for_each):
            where = f"forEach[{number}].{dimension.name}"
            over = dimension.expression.template.source.strip()
            if over in self._bindings and over != INSTANCE_ID:  # as many, and known as far
                inherited[dimension.name] = self._unknowns.of(over)
                value = self._evaluate(node, where, dimension.expression, self._bindings)
            else:
                value = self._value(node, where, dimension.expression, self._bindings)
            if isinstance(value, Unknown):
                rendered.open_size = True
            elif isinstance(value, list):
                lists.append(value)
            else:
                error = EvaluationError("must return a list", excerpt=_start(dimension.expression))
                self._fail(node, where, error)
                return
        names = [dimension.name for dimension in node.for_each]
        if rendered.open_size:
            self._add(rendered, self._bindings, iterators=names)
            return
        size = 1
        for items in lists:
            size *= len(items)
        limit = self._graph.limits.collection_size
        if size > limit:
            problem = f"a collection of {size} objects is over the maximum of {limit}"
            self._fail(node, "forEach", EvaluationError(problem))
            return
        for name, paths in inherited.items():
            self._unknowns.put(name, paths)
        for combination in product(*lists):
            self._add(rendered, {**self._bindings, **dict(zip(names, combination, strict=True))})
        for name in inherited:
            self._unknowns.forget(name)
        if not any(path in ("metadata.name", "metadata.namespace") for path in rendered.unknown):
            self._check_distinct(rendered)

    def _check_distinct(self, rendered: Rendered) -> None:
        """Report two objects of a collection that are one: nothing of the instance is applied."""
        names = [name_of(manifest) for manifest in rendered.manifests if _has_name(manifest)]
        for name in dict.fromkeys(name for name in names if names.count(name) > 1):
            problem = f"two objects of the collection are called {name.name!r}"
            self._fail(rendered.node, "template.metadata.name", EvaluationError(problem))

    def _add(
        self,
        rendered: Rendered,
        bindings: Mapping[str, object],
        *,
        iterators: Sequence[str] = (),
    ) -> None:
        """Render one object of a node; `iterators` have no value."""
        node = rendered.node
        manifest = cast("JsonObject", _copied(node.template))
        for one in node.fields:
            value: JsonValue | Unknown
            if iterators and one.kind is FieldKind.ITERATION:
                value = Unknown(one.expression.source)
            else:
                where = f"template.{fieldpath.join(one.path)}"
                value = self._value(node, where, one.expression, bindings)
            if isinstance(value, Unknown):
                rendered.unknown.append(fieldpath.join(one.path))
                value = value.marker()
            fieldpath.replace(manifest, one.path, value)
        manifest = cast("JsonObject", _swept(manifest))
        metadata = manifest.get("metadata")
        if node.mapped.namespaced and isinstance(metadata, dict) and not metadata.get("namespace"):
            manifest = {**manifest, "metadata": {**metadata, "namespace": self._namespace}}
        rendered.manifests.append(manifest)

    # what others see of a node

    def _bind(self, rendered: Rendered) -> None:
        """Let expressions see what is known of a node's objects."""
        node = rendered.node
        marked = set(rendered.unknown)
        paths = {one.path for one in node.fields if fieldpath.join(one.path) in marked}
        values: list[JsonObject] = []
        whole = not rendered.open_size
        for manifest in rendered.manifests:
            known = cast("JsonObject", _without(manifest, paths, ()))
            live = None
            if not any(path[:1] == ("metadata",) for path in paths) and _has_name(known):
                live = self._observed.find(node, name_of(known))
                known = self._observed.merged(node, known)
            whole = whole and live is not None
            values.append(known)
        if rendered.open_size or not (values or node.kind.is_collection):
            self._unknowns.put(node.id, [()])
            return
        self._unknowns.put(node.id, [*paths, *(() if whole else SERVER_SET)])
        of = node.schema_type
        if node.kind.is_collection:
            self._bindings[node.id] = values if of is None else wrap(values, list_of(of))
        else:
            self._bindings[node.id] = wrap(values[0], of)

    def _bind_external(self, node: Node) -> bool:
        """Let expressions see what the frame found; return whether it found something."""
        if node.id in self._found:
            self._bindings[node.id] = self._found[node.id]
            return True
        self._unknowns.put(node.id, [()])
        return False

    # one expression

    def _value(
        self, node: Node, where: str, expression: Expression, bindings: Mapping[str, object]
    ) -> JsonValue | Unknown:
        if self._unknowns.touched_by(expression):
            return Unknown(expression.source)
        return self._evaluate(node, where, expression, bindings)

    def _evaluate(
        self, node: Node, where: str, expression: Expression, bindings: Mapping[str, object]
    ) -> JsonValue | Unknown:
        try:
            value = expression.evaluate(bindings)
            if not isinstance(value, Pending):
                return wire_number(cast("JsonValue", value))
        except EvaluationError as error:
            self._fail(node, where, error)
            return None
        return Unknown(expression.source)

    def _fail(self, node: Node, where: str, error: EvaluationError) -> None:
        path = f"spec.resources[{node.index}].{where}"
        found = DefinitionError(error.problem, path=path, excerpt=error.excerpt)
        self._errors.append(self._instance.definition.document.diagnose(found))


def _in_namespace(instance: JsonObject, graph: Graph) -> JsonObject:
    """Return the instance in the namespace `default` if it names none, as kubectl does."""
    metadata = cast("JsonObject", instance["metadata"])
    if not graph.instance.mapped.namespaced or metadata.get("namespace"):
        return instance
    return {**instance, "metadata": {**metadata, "namespace": "default"}}


def _copied(value: JsonValue) -> JsonValue:
    match value:
        case dict():
            return {key: _copied(item) for key, item in value.items()}
        case list():
            return [_copied(item) for item in value]
    return value


def _swept(value: object) -> object:
    """Return a value without what `omit()` takes away."""
    match value:
        case dict():
            return {key: _swept(item) for key, item in value.items() if item is not OMIT}
        case list():
            return [_swept(item) for item in value if item is not OMIT]
    return value


def _without(value: JsonValue, paths: set[FieldPath], here: FieldPath) -> JsonValue:
    """Return a value without what stands at some paths; items of lists become null."""
    match value:
        case dict():
            return {
                key: _without(item, paths, (*here, key))
                for key, item in value.items()
                if (*here, key) not in paths
            }
        case list():
            return [
                None if (*here, i) in paths else _without(item, paths, (*here, i))
                for i, item in enumerate(value)
            ]
    return value


def _has_name(manifest: JsonObject) -> bool:
    metadata = manifest.get("metadata")
    return isinstance(metadata, dict) and isinstance(metadata.get("name"), str)


def _start(expression: Expression) -> Excerpt:
    return expression.template.excerpt(0)
