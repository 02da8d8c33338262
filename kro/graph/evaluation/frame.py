"""One pass over one instance: says what to read and write next, and what it came to.

The frame goes as deep as the answers allow. A node is looked at when all it depends on is decided;
what an apply answers is what its dependents see, so a chain of ten objects is one frame. Reads come
before writes: as long as something can be read, nothing is written, and when a node is broken or
its object is terminating nothing is written any more.

A frame does no I/O and dies with its pass. Performing a step twice, or never, harms nobody but the
frame itself.

Source: spec instance-runtime.md §1-3, §5.3-5.4; design.md §3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, cast

from kro.cel import list_of, wrap
from kro.errors import EvaluationError, InvariantError, KroError
from kro.graph.evaluation.collection import expand
from kro.graph.evaluation.meter import UNMETERED, Meter
from kro.graph.evaluation.outcome import NodeState, Outcome, Verdict
from kro.graph.evaluation.resolve import (
    Unresolved,
    check_identity,
    evaluate_fields,
    is_included,
    render,
    settle_namespace,
    shared_fields,
)
from kro.graph.evaluation.selector import selector_text
from kro.graph.evaluation.slot import Phase, Slot, discreet
from kro.graph.evaluation.steps import (
    Answer,
    Applied,
    Apply,
    Fetch,
    Found,
    Look,
    Looked,
    Select,
    Step,
    Target,
    Unreadable,
)
from kro.graph.evaluation.texts import PENDING_SUFFIX, gvr_text, name_of, quoted
from kro.graph.node import INSTANCE_ID, Graph, Node, NodeKind
from kro.refs import GroupKind, JsonObject, NamespacedName


class Decorate(Protocol):
    """Adds to a resolved manifest what we write on every child; returns the manifest to apply."""

    def __call__(self, node: Node, manifest: JsonObject, index: int, size: int, /) -> JsonObject:
        """Return the manifest to apply; `manifest` belongs to the caller and may be changed."""
        ...


def undecorated(node: Node, manifest: JsonObject, index: int, size: int, /) -> JsonObject:
    """Return the manifest as the author wrote it."""
    return manifest


class Frame:
    """What one pass learns about one instance.

    Use: perform every step that `next_steps` returns and hand the answers to `record`, until it
    returns none; then ask for the `outcome`.

    Concurrency: the steps of one batch are independent of one another and may run together.
    """

    def __init__(
        self,
        graph: Graph,
        instance: JsonObject,
        *,
        decorate: Decorate = undecorated,
        collection_limit: int | None = None,
        meter: Meter = UNMETERED,
    ) -> None:
        since = meter.now()
        self._graph, self._meter = graph, meter
        self._decorate = decorate
        self._limit = collection_limit or graph.limits.collection_size
        metadata = cast("JsonObject", instance["metadata"])
        self._namespace = str(metadata.get("namespace") or "")
        self._bindings: dict[str, object] = {INSTANCE_ID: schema_value(graph, instance)}
        self._slots: dict[str, Slot] = {}
        for node_id in graph.order:
            node = graph.nodes[node_id]
            deps = tuple(slot for slot in self._slots.values() if slot.node.id in node.depends_on)
            self._slots[node_id] = Slot(node, deps, meter)
        self._open = list(self._slots.values())
        self._fetched: dict[str, NamespacedName] = {}
        self._conflict = ""
        meter.created(since)

    # the conversation

    def next_steps(self) -> tuple[Step, ...]:
        """Return what to do now; empty when the frame has nothing more to ask."""
        reads = [step for slot in self._open if (step := self._advance(slot))]
        self._open = [slot for slot in self._open if slot.phase is Phase.OPEN]
        if reads:
            return tuple(reads)
        if any(slot.phase is Phase.STOPPED for slot in self._slots.values()):
            return ()
        differing = [slot for slot in self._slots.values() if slot.phase is Phase.DIFFERS]
        if not differing:
            return ()
        self._conflict = self._conflict or self._find_conflict()
        if self._conflict:
            return ()
        return tuple(self._apply(slot) for slot in differing)

    def record(self, answers: Iterable[Answer]) -> None:
        """Take the answers to the steps of the last batch."""
        for answer in answers:
            slot = self._slots[answer.node_id]
            match answer, slot.phase:
                case Unreadable(_, error, problem), Phase.ASKED:
                    slot.stop(error, problem)
                case Looked(_, seen), Phase.ASKED:
                    slot.look(seen)
                case Found(node_id, objects), Phase.ASKED:
                    slot.find(objects, self._fetched.get(node_id))
                case Applied(_, results), Phase.WRITING:
                    wanted = [i for i, found in enumerate(slot.seen) if not found.holds]
                    slot.write(list(zip(wanted, results, strict=True)))
                case _:
                    raise InvariantError(
                        f"no arrow for {type(answer).__name__} from {slot.phase} of {slot.node.id}"
                    )
            self._bind(slot)

    def claims(self) -> tuple[frozenset[GroupKind], frozenset[str]]:
        """Return the kinds and namespaces that this pass may write to, as far as they are known.

        Nodes that wait for a write of this pass count with their kind, so that one record of the
        inventory covers the whole frame; a namespace that an expression decides is known only once
        the node is resolved.
        """
        kinds: set[GroupKind] = set()
        namespaces: set[str] = set()
        for slot in self._slots.values():
            node = slot.node
            if node.kind.is_external:
                continue
            if slot.desired:
                kinds.add(node.gvk.group_kind)
                if node.mapped.namespaced:
                    namespaces.update(name_of(manifest).namespace for manifest in slot.desired)
            elif slot.phase is Phase.OPEN:
                kinds.add(node.gvk.group_kind)
                if node.mapped.namespaced and (known := self._literal_namespace(node)):
                    namespaces.add(known)
        return frozenset(kinds), frozenset(namespaces)

    # what it came to

    def outcome(self) -> Outcome:
        """Return the verdict on the pass; call it when `next_steps` has returned nothing."""
        slots = list(self._slots.values())
        states = {slot.node.id: slot.state for slot in slots if slot.state is not None}
        stopped = next((slot for slot in slots if slot.phase is Phase.STOPPED), None)
        failing = [
            slot
            for slot in slots
            if slot.state in (NodeState.ERROR, NodeState.WAITING_FOR_READINESS)
        ]
        pending = next((slot for slot in slots if slot.phase is Phase.PENDING), None)
        verdict, message, error = Verdict.WHOLE, "", cast("KroError | None", None)
        if stopped is not None and stopped.state is NodeState.DELETING:
            verdict, message = Verdict.TERMINATING, stopped.problem
        elif stopped is not None:
            verdict, message, error = Verdict.BROKEN, stopped.problem, stopped.error
        elif self._conflict:
            verdict, message = Verdict.CONFLICTING, self._conflict
            error = EvaluationError(self._conflict)
        elif failing:
            verdict = Verdict.UNREADY
            message = "apply results contain errors: " + "\n".join(s.problem for s in failing)
            error = next((slot.error for slot in failing if slot.error is not None), None)
        elif pending is not None:
            verdict, message = Verdict.UNRESOLVED, self._pending_text(pending)
        return Outcome(
            verdict=verdict,
            message=message,
            states=states,
            error=error,
            may_prune=stopped is None
            and not self._conflict
            and pending is None
            and not any(slot.refused for slot in slots),
        )

    @property
    def bindings(self) -> Mapping[str, object]:
        """What status fields and conditions see: `schema`, and every node that has a value."""
        return self._bindings

    def discreet(self, error: EvaluationError) -> EvaluationError:
        """Return the error without anything that the Secrets of this pass hold."""
        return discreet(error, self._slots.values())

    def members(self) -> Iterable[tuple[Node, JsonObject]]:
        """Return every managed object that this pass found or wrote, with its node."""
        for slot in self._slots.values():
            if not slot.node.kind.is_external:
                for manifest in slot.observed or ():
                    yield slot.node, manifest

    # one node

    def _advance(self, slot: Slot) -> Step | None:
        """Move an open node as far as what is decided allows; return what to read for it, if so."""
        if any(dep.phase is Phase.IGNORED for dep in slot.depends_on):
            self._meter.included(ignored=True)
            slot.ignore()
            return None
        if not all(dep.phase.is_decided for dep in slot.depends_on):
            return None
        try:
            return self._decide(slot)
        except EvaluationError as error:
            slot.stop(self.discreet(error))
            return None

    def _decide(self, slot: Slot) -> Step | None:
        for dep in slot.depends_on:
            if dep.unresolved_inclusion and dep.unresolved is not None:
                slot.suspend(dep.unresolved, inclusion=True)
                return None
        included = self._is_included(slot)
        if isinstance(included, Unresolved):
            slot.suspend(included, inclusion=True)
            return None
        self._meter.included(ignored=not included)
        if not included:
            slot.ignore()
            return None
        blocked = self._gate(slot)
        if blocked is not None:
            slot.suspend(blocked)
            return None
        match slot.node.kind:
            case NodeKind.EXTERNAL | NodeKind.EXTERNAL_COLLECTION:
                return self._read_external(slot)
            case NodeKind.RESOURCE | NodeKind.COLLECTION:
                return self._resolve(slot)

    def _is_included(self, slot: Slot) -> bool | Unresolved:
        node = slot.node
        if not node.include_when:
            return True
        for name in sorted(frozenset().union(*node.include_reads)):
            not_ready = self._slots[name].readiness()
            if not_ready is not None:
                return Unresolved(
                    f"includeWhen dependency {quoted(name)} not ready: "
                    f"{not_ready.why}{PENDING_SUFFIX}",
                    name,
                )
        pairs = zip(node.include_when, map(bool, node.include_reads), strict=True)
        return is_included(pairs, self._bindings, self._meter)

    def _gate(self, slot: Slot) -> Unresolved | None:
        for dep in slot.depends_on:
            try:
                not_ready = dep.readiness()
            except EvaluationError as error:
                raise EvaluationError(
                    f"node {quoted(slot.node.id)}: failed to check readiness of dependent node "
                    f"{quoted(dep.node.id)}: {error.problem}",
                    excerpt=error.excerpt,
                ) from error
            if not_ready is not None:
                return Unresolved(
                    f"node {quoted(slot.node.id)}: dependent node {quoted(dep.node.id)} not ready: "
                    f"{not_ready.why}{PENDING_SUFFIX}",
                    dep.node.id,
                )
        return None

    def _resolve(self, slot: Slot) -> Step | None:
        node = slot.node
        manifests = self._manifests(node)
        if isinstance(manifests, Unresolved):
            slot.suspend(manifests)
            return None
        desired: list[JsonObject] = []
        for index, manifest in enumerate(manifests):
            settled = settle_namespace(node, manifest, self._namespace)
            desired.append(self._decorate(node, settled, index, len(manifests)))
        if not desired:
            slot.empty()
            self._bind(slot)
            return None
        slot.ask(desired)
        return Look(node, tuple(desired))

    def _manifests(self, node: Node) -> list[JsonObject] | Unresolved:
        since, broken = self._meter.now(), True
        try:
            if node.kind is NodeKind.COLLECTION:
                found = expand(node, self._bindings, limit=self._limit, meter=self._meter)
            else:
                found = self._render(node)
            broken = False
        finally:
            self._meter.resolved(since, broken=broken)
        return found

    def _render(self, node: Node) -> list[JsonObject] | Unresolved:
        values = evaluate_fields(node, shared_fields(node), self._bindings, self._meter)
        if isinstance(values, Unresolved):
            return values
        manifest = render(node.template, values)
        if node.kind is not NodeKind.EXTERNAL_COLLECTION:
            check_identity(node, manifest)
        return [manifest]

    def _read_external(self, slot: Slot) -> Step | None:
        node = slot.node
        manifests = self._manifests(node)
        if isinstance(manifests, Unresolved):
            slot.suspend(manifests)
            return None
        slot.ask(())
        if node.kind is NodeKind.EXTERNAL:
            name = name_of(settle_namespace(node, manifests[0], self._namespace))
            self._fetched[node.id] = name
            return Fetch(node, name if node.mapped.namespaced else NamespacedName("", name.name))
        metadata = cast("JsonObject", manifests[0].get("metadata") or {})
        try:
            selector = selector_text(metadata.get("selector"))
        except EvaluationError as error:
            raise EvaluationError(
                f"invalid label selector for {node.id}: {error.problem}"
            ) from error
        namespace = str(metadata.get("namespace") or "") if node.mapped.namespaced else ""
        return Select(node, namespace, selector)

    def _apply(self, slot: Slot) -> Apply:
        slot.phase = Phase.WRITING
        desired = slot.desired or ()
        return Apply(
            slot.node,
            tuple(
                Target(index, desired[index], found.live)
                for index, found in enumerate(slot.seen)
                if not found.holds
            ),
        )

    def _bind(self, slot: Slot) -> None:
        """Let expressions see a node whose value is final for this pass."""
        if slot.phase is not Phase.DONE or slot.observed is None:
            return
        node = slot.node
        of = node.schema_type
        if node.kind.is_collection:
            items = list(slot.observed)
            self._bindings[node.id] = items if of is None else wrap(items, list_of(of))
        else:
            live = slot.observed[0]
            self._bindings[node.id] = live if of is None else wrap(live, of)

    # sentences

    def _find_conflict(self) -> str:
        """Return the sentence about nodes that resolve to the same object; empty when none do."""
        owners: dict[tuple[object, ...], str] = {}
        conflicts: list[str] = []
        for slot in self._slots.values():
            for index, manifest in enumerate(slot.desired or ()):
                node = slot.node
                entry = f"{node.id}-{index}" if node.kind.is_collection else node.id
                first = owners.setdefault((node.gvk, name_of(manifest)), entry)
                if first != entry:
                    conflicts.append(f"resourceID: {entry} conflicts with resourceID: {first}")
        return "found resources with conflicts: " + ", ".join(conflicts) if conflicts else ""

    def _pending_text(self, slot: Slot) -> str:
        unresolved = slot.unresolved
        problem = unresolved.problem if unresolved else ""
        culprit = self._slots.get(unresolved.on) if unresolved else None
        gvr = quoted(gvr_text(slot.node.mapped.gvr))
        text = f"waiting for unresolved resource: gvr {gvr}: {problem}"
        return f"{text}; waits for {culprit.described()}" if culprit else text

    def _literal_namespace(self, node: Node) -> str:
        metadata = node.template.get("metadata")
        if any(field.path[:2] == ("metadata", "namespace") for field in node.fields):
            return ""
        written = metadata.get("namespace") if isinstance(metadata, dict) else None
        return str(written or self._namespace)


def schema_value(graph: Graph, instance: JsonObject, *, status: bool = False) -> object:
    """Return the value of `schema`: the instance, typed, without managed fields.

    Args:
        status: keep the status that the instance carries; without it, expressions see none.
    """
    visible = {key: value for key, value in instance.items() if status or key != "status"}
    metadata = cast("JsonObject", instance["metadata"])
    if "managedFields" in metadata:
        visible["metadata"] = {k: v for k, v in metadata.items() if k != "managedFields"}
    of = graph.instance.schema_type
    return visible if of is None else wrap(visible, of)
