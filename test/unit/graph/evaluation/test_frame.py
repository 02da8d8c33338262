"""A pass as a computation: what it asks for, in which order, and what it comes to."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from kro.errors import ClusterError
from kro.graph import Graph, Node
from kro.graph.evaluation import (
    Answer,
    Applied,
    Apply,
    Fetch,
    Found,
    Frame,
    InstanceState,
    Look,
    Looked,
    NodeState,
    Refused,
    Seen,
    Select,
    Step,
    Target,
    Unreadable,
    Verdict,
    name_of,
    project,
)
from kro.refs import GroupKind, NamespacedName
from support.definitions import compiled, config_map, definition, widget

Json = dict[str, Any]


class Cluster:
    """A cluster that holds what was applied; a test may change it, or refuse writes.

    An apply merges into what is there, as the API server would; `holds` is plain inclusion.
    """

    def __init__(self, *objects: Json) -> None:
        self.objects: dict[tuple[str, NamespacedName], Json] = {}
        self.batches: list[list[str]] = []
        """Names written together, batch by batch."""
        self.reads: list[str] = []
        self.refuse: Callable[[Json], Refused | None] = lambda _: None
        for each in objects:
            self.put(each)

    def put(self, manifest: Json) -> Json:
        """Create or change an object."""
        key = (manifest["kind"], name_of(manifest))
        self.objects[key] = _merged(self.objects.get(key, {}), manifest)
        return self.objects[key]

    def get(self, kind: str, name: str, namespace: str = "team-a") -> Json:
        """Return an object that is there."""
        return self.objects[kind, NamespacedName(namespace, name)]

    def run(self, frame: Frame) -> Frame:
        """Perform all steps of a frame."""
        while steps := frame.next_steps():
            applies = [step for step in steps if isinstance(step, Apply)]
            if applies:
                self.batches.append(
                    [name_of(target.desired).name for step in applies for target in step.targets]
                )
            frame.record([self._perform(step) for step in steps])
        return frame

    def _perform(self, step: Step) -> Answer:
        match step:
            case Look(node, desired):
                self.reads.append(node.id)
                return Looked(node.id, tuple(self._seen(each) for each in desired))
            case Fetch(node, name):
                live = self.objects.get((node.gvk.kind, name))
                return Found(node.id, () if live is None else (live,))
            case Select(node, namespace, selector):
                return Found(node.id, tuple(self._selected(node, namespace, selector)))
            case Apply(node, targets):
                return Applied(node.id, tuple(self._apply(target) for target in targets))

    def _seen(self, desired: Json) -> Seen:
        live = self.objects.get((desired["kind"], name_of(desired)))
        return Seen(live, live is not None and _merged(live, desired) == live)

    def _selected(self, node: Node, namespace: str, selector: str) -> Iterable[Json]:
        wanted = dict(pair.split("=") for pair in selector.split(",") if pair)
        for (kind, name), each in sorted(self.objects.items()):
            labels = each["metadata"].get("labels", {})
            here = kind == node.gvk.kind and namespace in ("", name.namespace)
            if here and wanted.items() <= labels.items():
                yield each

    def _apply(self, target: Target) -> Json | Refused:
        return self.refuse(target.desired) or copy.deepcopy(self.put(target.desired))


def _merged(live: Any, desired: Any) -> Any:
    if isinstance(live, dict) and isinstance(desired, dict):
        return {**live, **{k: _merged(live.get(k), v) for k, v in desired.items()}}
    return copy.deepcopy(desired)


def instance(namespace: str = "team-a", **spec: Any) -> Json:
    """Return a live instance of the kind App."""
    metadata = {"name": "app", "uid": "u-1", "generation": 1}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "apiVersion": "kro.run/v1alpha1",
        "kind": "App",
        "metadata": metadata,
        "spec": spec,
        "status": {"state": "ACTIVE"},
    }


def passed(graph: Graph, cluster: Cluster, live: Json | None = None, **spec: Any) -> Frame:
    """Return a frame after a whole pass over an instance with this spec."""
    return cluster.run(Frame(graph, live or instance(**spec)))


def chain(length: int) -> Graph:
    """Return a graph of config maps of which each copies a value of the one before."""
    resources = [config_map("n0", data={"v": "${schema.spec.name}"})]
    resources += [
        config_map(f"n{at}", data={"v": f"${{n{at - 1}.data.v}}"}) for at in range(1, length)
    ]
    return compiled(definition(*resources))


GATE = definition(
    widget("door", readyWhen=["${door.status.phase == 'open'}"]),
    config_map("room", data={"door": "${door.metadata.name}"}),
    status={"phase": "${door.status.phase}"},
)


def test_chain_is_applied_in_one_pass() -> None:
    """Each answer is what the next node sees, so depth costs writes and no passes."""
    cluster = Cluster()
    frame = passed(chain(5), cluster, name="x")
    assert cluster.batches == [["n0"], ["n1"], ["n2"], ["n3"], ["n4"]]
    assert cluster.get("ConfigMap", "n4")["data"] == {"v": "x"}
    assert frame.outcome().verdict is Verdict.WHOLE
    assert frame.outcome().state is InstanceState.ACTIVE
    assert frame.outcome().may_prune


def test_settled_instance_is_only_looked_at() -> None:
    """Nothing is written when everything holds."""
    cluster = Cluster()
    passed(chain(3), cluster, name="x")
    cluster.batches.clear()
    frame = passed(chain(3), cluster, name="x")
    assert cluster.batches == []
    assert frame.outcome().verdict is Verdict.WHOLE


def test_independent_nodes_are_written_together() -> None:
    """Nodes that do not wait for one another share a batch; who reads them all comes after."""
    spec = definition(
        config_map("a", data={"v": "1"}),
        config_map("b", data={"v": "2"}),
        config_map("sum", data={"v": "${a.data.v + b.data.v}"}),
        config_map("c", data={"v": "3"}),
    )
    cluster = Cluster()
    passed(compiled(spec), cluster)
    assert cluster.batches == [["a", "b", "c"], ["sum"]]
    assert cluster.get("ConfigMap", "sum")["data"]["v"] == "12"


def test_dependent_sees_the_new_value_of_a_changed_node() -> None:
    """A spec edit reaches the end of the chain in the pass that applies its beginning."""
    cluster = Cluster()
    passed(chain(3), cluster, name="x")
    cluster.batches.clear()
    passed(chain(3), cluster, name="y")
    assert cluster.batches == [["n0"], ["n1"], ["n2"]]
    assert cluster.get("ConfigMap", "n2")["data"]["v"] == "y"


def test_dependent_waits_for_readiness_not_for_existence() -> None:
    """The message names the object that is not ready, not the one that waits for it."""
    cluster = Cluster()
    frame = passed(compiled(GATE), cluster)
    outcome = frame.outcome()
    assert cluster.batches == [["door"]]
    assert outcome.verdict is Verdict.UNREADY
    assert outcome.state is InstanceState.IN_PROGRESS
    assert outcome.message.startswith('apply results contain errors: waiting for node "door": ')
    assert "Widget team-a/door" in outcome.message
    assert not outcome.may_prune
    assert project(compiled(GATE), frame.bindings).fields == {}

    cluster.get("Widget", "door")["status"] = {"phase": "closed"}
    frame = passed(compiled(GATE), cluster)
    assert 'readyWhen condition evaluated to false: "door.status.phase' in frame.outcome().message
    assert project(compiled(GATE), frame.bindings).fields == {"phase": "closed"}

    cluster.get("Widget", "door")["status"] = {"phase": "open"}
    frame = passed(compiled(GATE), cluster)
    assert frame.outcome().verdict is Verdict.WHOLE
    assert cluster.get("ConfigMap", "room")["data"] == {"door": "door"}


def test_pending_node_keeps_its_object_and_holds_nobody_else_up() -> None:
    """Missing data leaves the node alone, applies independent ones, and forbids pruning."""
    spec = definition(
        widget("vpc"),
        widget("subnet", spec={"name": "${vpc.status.phase}"}),
        config_map("log", data={"v": "1"}),
    )
    cluster = Cluster()
    outcome = passed(compiled(spec), cluster).outcome()
    assert cluster.batches == [["vpc", "log"]]
    assert outcome.verdict is Verdict.UNRESOLVED
    assert outcome.state is InstanceState.IN_PROGRESS
    assert not outcome.may_prune
    assert outcome.message.startswith(
        'waiting for unresolved resource: gvr "test.dev/v1, Resource=widgets": node "subnet": '
    )
    assert "(data pending)" in outcome.message
    assert "Widget team-a/vpc" in outcome.message


def test_broken_expression_withholds_every_write() -> None:
    """A node that cannot be rendered stops the pass before anything is written."""
    spec = definition(
        config_map("good", data={"v": "1"}),
        config_map("bad", data={"v": "${string(10 / schema.spec.count)}"}),
    )
    cluster = Cluster()
    outcome = passed(compiled(spec), cluster, count=0).outcome()
    assert cluster.batches == []
    assert outcome.verdict is Verdict.BROKEN
    assert outcome.state is InstanceState.ERROR
    assert 'node "bad"' in outcome.message
    assert "division by zero" in outcome.message
    assert passed(compiled(spec), cluster, count=5).outcome().verdict is Verdict.WHOLE


def test_terminating_object_withholds_every_write() -> None:
    """What is going has to be gone before anything of the instance is written."""
    spec = definition(config_map("base", data={"v": "1"}), config_map("more", data={"v": "2"}))
    cluster = Cluster()
    passed(compiled(definition(config_map("base", data={"v": "1"}))), cluster)
    cluster.batches.clear()
    cluster.get("ConfigMap", "base")["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    outcome = passed(compiled(spec), cluster).outcome()
    assert cluster.batches == []
    assert outcome.verdict is Verdict.TERMINATING
    assert outcome.state is InstanceState.IN_PROGRESS
    assert outcome.message == (
        'resource "team-a/base" for node "base" is currently being deleted; waiting for deletion '
        "to complete before continuing reconciliation"
    )


def test_two_nodes_with_one_object_write_nothing() -> None:
    """Both are named, in the order of the graph."""
    spec = definition(
        config_map("a", name="${schema.spec.name}", data={"v": "1"}),
        config_map("b", name="x", data={"v": "2"}),
    )
    cluster = Cluster()
    outcome = passed(compiled(spec), cluster, name="x").outcome()
    assert cluster.batches == []
    assert outcome.verdict is Verdict.CONFLICTING
    assert outcome.state is InstanceState.IN_PROGRESS
    assert outcome.message == (
        "found resources with conflicts: resourceID: b conflicts with resourceID: a"
    )


def test_refused_write_leaves_the_others_alone() -> None:
    """One error does not stop its siblings, but forbids pruning."""
    spec = definition(config_map("good", data={"v": "1"}), config_map("bad", data={"v": "2"}))
    cluster = Cluster()
    denied = Refused(ClusterError("no"), "apply of ConfigMap team-a/bad failed: no notes")
    cluster.refuse = lambda desired: denied if desired["metadata"]["name"] == "bad" else None
    outcome = passed(compiled(spec), cluster).outcome()
    assert ("ConfigMap", NamespacedName("team-a", "good")) in cluster.objects
    assert outcome.verdict is Verdict.UNREADY
    assert outcome.state is InstanceState.ERROR
    assert "no notes" in outcome.message
    assert not outcome.may_prune
    assert outcome.states == {"good": NodeState.SYNCED, "bad": NodeState.ERROR}


def test_dependents_of_a_refused_write_see_what_is_there() -> None:
    """A denied update leaves the old object, and with it everything that reads it."""
    cluster = Cluster()
    passed(chain(2), cluster, name="x")
    cluster.get("ConfigMap", "n1")["data"]["v"] = "drifted"
    denied = Refused(ClusterError("no"), "no")
    cluster.refuse = lambda desired: denied if desired["metadata"]["name"] == "n0" else None
    passed(chain(2), cluster, name="y")
    assert cluster.get("ConfigMap", "n1")["data"]["v"] == "x"


def test_nothing_is_read_from_an_object_of_somebody_else() -> None:
    """A foreign object is not this node's, so its dependents wait."""
    cluster = Cluster()
    cluster.put(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "n0", "namespace": "team-a"},
            "data": {"v": "theirs"},
        }
    )
    foreign = Refused(ClusterError("no"), "belongs to a different ApplySet", foreign=True)
    cluster.refuse = lambda desired: foreign if desired["metadata"]["name"] == "n0" else None
    outcome = passed(chain(2), cluster, name="x").outcome()
    assert ("ConfigMap", NamespacedName("team-a", "n1")) not in cluster.objects
    assert "belongs to a different ApplySet" in outcome.message


# includeWhen


EXTRAS = definition(
    config_map("base", data={"v": "1"}),
    config_map("web", includeWhen=["${schema.spec.on}"], data={"b": "${base.metadata.name}"}),
    config_map("tail", data={"w": "${web.metadata.name}"}),
    status={"w": "${web.metadata.name}"},
)


def test_excluded_node_takes_its_dependents_along() -> None:
    """Ignoring is contagious, and an instance with ignored nodes is whole."""
    cluster = Cluster()
    frame = passed(compiled(EXTRAS), cluster, on=False)
    outcome = frame.outcome()
    assert cluster.batches == [["base"]]
    assert outcome.verdict is Verdict.WHOLE
    assert outcome.may_prune
    assert outcome.states["tail"] is NodeState.SKIPPED
    assert project(compiled(EXTRAS), frame.bindings).fields == {}


def test_included_node_is_there_with_its_status() -> None:
    """The other way round everything is created."""
    cluster = Cluster()
    frame = passed(compiled(EXTRAS), cluster, on=True)
    assert cluster.batches == [["base"], ["web"], ["tail"]]
    assert project(compiled(EXTRAS), frame.bindings).fields == {"w": "web"}


def test_condition_on_missing_instance_data_is_broken() -> None:
    """The instance's spec will not change by waiting."""
    spec = definition(
        config_map("base", data={"v": "1"}),
        config_map("opt", includeWhen=["${schema.spec.name == 'full'}"]),
    )
    cluster = Cluster()
    outcome = passed(compiled(spec), cluster).outcome()
    assert cluster.batches == []
    assert outcome.verdict is Verdict.BROKEN
    assert 'includeWhen "schema.spec.name' in outcome.message
    assert "no such key: name" in outcome.message


def test_condition_on_missing_data_of_a_node_is_pending() -> None:
    """A status that is not there yet may come; until then nothing is known about the dependents."""
    spec = definition(
        widget("src"),
        config_map("opt", includeWhen=["${src.status.ready > 0}"]),
        config_map("tail", data={"v": "${opt.metadata.name}"}),
    )
    cluster = Cluster()
    outcome = passed(compiled(spec), cluster).outcome()
    assert cluster.batches == [["src"]]
    assert outcome.verdict is Verdict.UNRESOLVED
    assert "data pending" in outcome.message
    cluster.get("Widget", "src")["status"] = {"ready": 0}
    assert passed(compiled(spec), cluster).outcome().verdict is Verdict.WHOLE


def test_condition_waits_for_readiness_of_what_it_reads() -> None:
    """A value of an object that is not ready decides nothing."""
    spec = definition(
        widget("src", readyWhen=["${src.status.phase == 'open'}"]),
        config_map("opt", includeWhen=["${src.status.ready > 0}"]),
    )
    cluster = Cluster()
    passed(compiled(spec), cluster)
    cluster.get("Widget", "src")["status"] = {"ready": 1}
    frame = passed(compiled(spec), cluster)
    assert cluster.batches == [["src"]]
    assert frame.outcome().verdict is Verdict.UNREADY
    cluster.get("Widget", "src")["status"]["phase"] = "open"
    assert passed(compiled(spec), cluster).outcome().verdict is Verdict.WHOLE
    assert cluster.batches == [["src"], ["opt"]]


def test_condition_reads_the_value_of_this_pass() -> None:
    """A node that is about to change is changed before anybody decides by it."""
    spec = definition(
        config_map("flag", data={"on": "${string(schema.spec.on)}"}),
        config_map("lamp", includeWhen=["${flag.data.on == 'true'}"]),
    )
    cluster = Cluster()
    passed(compiled(spec), cluster, on=True)
    assert cluster.batches == [["flag"], ["lamp"]]
    outcome = passed(compiled(spec), cluster, on=False).outcome()
    assert outcome.states["lamp"] is NodeState.SKIPPED
    assert outcome.may_prune


# collections


ROOMS = definition(
    config_map(
        "rooms",
        name="${schema.metadata.name}-${room}",
        forEach=[{"room": "${schema.spec.tags}"}],
        data={"room": "${room}"},
    ),
    config_map(
        "sum",
        data={"n": "${string(size(rooms))}", "all": "${rooms.map(r, r.data.room).join(',')}"},
    ),
    status={"count": "${size(rooms)}", "names": "${rooms.map(r, r.metadata.name)}"},
)


def test_collection_is_one_object_per_element_in_order() -> None:
    """Dependents and status see the items in the order of the list."""
    cluster = Cluster()
    frame = passed(compiled(ROOMS), cluster, tags=["hall", "bath", "attic"])
    assert cluster.batches == [["app-hall", "app-bath", "app-attic"], ["sum"]]
    assert cluster.get("ConfigMap", "sum")["data"] == {"n": "3", "all": "hall,bath,attic"}
    assert project(compiled(ROOMS), frame.bindings).fields == {
        "count": 3,
        "names": ["app-hall", "app-bath", "app-attic"],
    }


def test_empty_collection_is_ready_and_reads_as_an_empty_list() -> None:
    """Nothing to create is not nothing known."""
    cluster = Cluster()
    frame = passed(compiled(ROOMS), cluster, tags=[])
    assert cluster.get("ConfigMap", "sum")["data"] == {"n": "0", "all": ""}
    assert project(compiled(ROOMS), frame.bindings).fields == {"count": 0, "names": []}
    assert frame.outcome().verdict is Verdict.WHOLE


def test_only_items_that_differ_are_written() -> None:
    """An item that holds is left alone."""
    cluster = Cluster()
    passed(compiled(ROOMS), cluster, tags=["hall", "bath"])
    cluster.batches.clear()
    cluster.get("ConfigMap", "app-bath")["data"]["room"] = "drifted"
    passed(compiled(ROOMS), cluster, tags=["hall", "bath"])
    assert cluster.batches == [["app-bath"]]


def test_product_runs_with_the_last_dimension_fastest() -> None:
    """Two dimensions give every combination; an empty one gives none."""
    spec = definition(
        config_map(
            "cells",
            name="${row}-${col}",
            forEach=[{"row": "${schema.spec.tags}"}, {"col": "${['x', 'y']}"}],
        )
    )
    cluster = Cluster()
    passed(compiled(spec), cluster, tags=["a", "b"])
    assert cluster.batches == [["a-x", "a-y", "b-x", "b-y"]]
    assert passed(compiled(spec), Cluster(), tags=[]).outcome().verdict is Verdict.WHOLE


def test_too_large_collection_is_broken() -> None:
    """The limit holds for the product, and nothing of the instance is written."""
    spec = definition(
        config_map("good"),
        config_map(
            "cells",
            name="${string(i)}-${string(j)}",
            forEach=[{"i": "${lists.range(34)}"}, {"j": "${lists.range(34)}"}],
        ),
    )
    cluster = Cluster()
    outcome = passed(compiled(spec), cluster).outcome()
    assert cluster.batches == []
    assert outcome.state is InstanceState.ERROR
    assert "collection size of 1156 is over the maximum collection size of 1000" in outcome.message


def test_equal_identities_in_a_collection_are_broken() -> None:
    """Two items cannot be one object."""
    outcome = passed(compiled(ROOMS), Cluster(), tags=["hall", "hall"]).outcome()
    assert outcome.verdict is Verdict.BROKEN
    assert (
        'node "rooms" identity collision: duplicate identity: /v1/ConfigMap//app-hall'
        in outcome.message
    )


def test_each_item_has_to_be_ready() -> None:
    """The collection is as ready as its last item."""
    spec = definition(
        widget(
            "cells",
            name="${n}",
            forEach=[{"n": "${schema.spec.tags}"}],
            readyWhen=["${each.status.phase == 'open'}"],
        ),
        config_map("after", data={"n": "${string(size(cells))}"}),
    )
    cluster = Cluster()
    passed(compiled(spec), cluster, tags=["a", "b"])
    cluster.get("Widget", "a")["status"] = {"phase": "open"}
    outcome = passed(compiled(spec), cluster, tags=["a", "b"]).outcome()
    assert outcome.state is InstanceState.IN_PROGRESS
    assert "Widget team-a/b" in outcome.message
    cluster.get("Widget", "b")["status"] = {"phase": "open"}
    assert passed(compiled(spec), cluster, tags=["a", "b"]).outcome().verdict is Verdict.WHOLE
    assert cluster.batches == [["a", "b"], ["after"]]


def test_failed_item_is_named_and_its_siblings_are_written() -> None:
    """The lowest failing index is shown."""
    cluster = Cluster()
    denied = Refused(ClusterError("no"), 'namespaces "nowhere" not found')
    cluster.refuse = lambda desired: denied if desired["metadata"]["name"] == "app-b" else None
    outcome = passed(compiled(ROOMS), cluster, tags=["a", "b", "c"]).outcome()
    assert {"app-a", "app-c"} <= {name.name for _, name in cluster.objects}
    assert outcome.state is InstanceState.ERROR
    assert 'collection item 1: namespaces "nowhere" not found' in outcome.message


def test_collection_over_a_collection_waits_for_all_of_it() -> None:
    """A tier is expanded when the one before is whole."""
    spec = definition(
        config_map("pods", name="${n}", forEach=[{"n": "${schema.spec.tags}"}]),
        config_map("taps", name="${p.metadata.name}-tap", forEach=[{"p": "${pods}"}]),
    )
    cluster = Cluster()
    passed(compiled(spec), cluster, tags=["a", "b"])
    assert cluster.batches == [["a", "b"], ["a-tap", "b-tap"]]


def test_dimension_over_missing_data_is_pending() -> None:
    """A list that is not there yet is not an empty list."""
    spec = definition(
        widget("src"),
        config_map("c", name="${t}", forEach=[{"t": "${src.spec.tags}"}]),
    )
    cluster = Cluster()
    outcome = passed(compiled(spec), cluster).outcome()
    assert outcome.verdict is Verdict.UNRESOLVED
    assert "no such key" in outcome.message


# external references


READER = definition(
    {
        "id": "src",
        "externalRef": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "${schema.spec.name}"},
        },
    },
    config_map("copy", data={"value": "${src.data.value}"}),
    status={"seen": "${src.data.value}"},
)


def external(name: str, *, namespace: str = "team-a", **data: str) -> Json:
    """Return a config map of somebody else."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"role": "peer"}},
        "data": data,
    }


def test_missing_external_reference_is_waited_for() -> None:
    """Nothing is created in its place, and pruning does not depend on it."""
    cluster = Cluster()
    outcome = passed(compiled(READER), cluster, name="ext").outcome()
    assert cluster.batches == []
    assert outcome.verdict is Verdict.UNREADY
    assert outcome.state is InstanceState.IN_PROGRESS
    assert 'waiting for external reference "src": not found' in outcome.message
    assert "ConfigMap team-a/ext" in outcome.message


def test_external_reference_is_read_and_never_written() -> None:
    """Its value flows into templates and status."""
    cluster = Cluster(external("ext", value="one"))
    frame = passed(compiled(READER), cluster, name="ext")
    assert cluster.batches == [["copy"]]
    assert cluster.get("ConfigMap", "copy")["data"] == {"value": "one"}
    assert project(compiled(READER), frame.bindings).fields == {"seen": "one"}
    assert [node.id for node, _ in frame.members()] == ["copy"]


def test_unreadable_external_reference_breaks_the_pass() -> None:
    """A failed read is not a missing object."""
    frame = Frame(compiled(READER), instance(name="ext"))
    frame.next_steps()
    frame.record([Unreadable("src", ClusterError("boom"), "external ref get: boom")])
    assert frame.next_steps() == ()
    assert frame.outcome().verdict is Verdict.BROKEN
    assert frame.outcome().message == "external ref get: boom"


def test_selector_binds_all_matches() -> None:
    """Zero matches are ready; without a namespace every namespace counts."""
    spec = definition(
        {
            "id": "peers",
            "externalRef": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"selector": {"matchLabels": {"role": "${schema.spec.name}"}}},
            },
        },
        config_map("roster", data={"n": "${string(size(peers))}"}),
    )
    cluster = Cluster()
    passed(compiled(spec), cluster, name="peer")
    assert cluster.get("ConfigMap", "roster")["data"] == {"n": "0"}
    cluster.put(external("x"))
    cluster.put(external("y", namespace="team-b"))
    passed(compiled(spec), cluster, name="peer")
    assert cluster.get("ConfigMap", "roster")["data"] == {"n": "2"}


def test_readiness_of_a_selection() -> None:
    """The expression sees the whole list, once however long that is; nothing selected is ready."""
    spec = definition(
        {
            "id": "peers",
            "externalRef": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"selector": {"matchLabels": {"role": "peer"}}},
            },
            "readyWhen": ["${peers.all(p, p.data.ready == 'true')}"],
        },
        config_map("roster", data={"n": "${string(size(peers))}"}),
    )
    graph, cluster = compiled(spec), Cluster()
    assert passed(graph, cluster).outcome().verdict is Verdict.WHOLE
    for name in ("x", "y"):
        cluster.put(external(name))
    cluster.get("ConfigMap", "x")["data"] = {"ready": "true"}
    message = passed(graph, cluster).outcome().message
    assert 'waiting for external collection "peers"' in message
    cluster.get("ConfigMap", "y")["data"] = {"ready": "true"}
    assert passed(graph, cluster).outcome().verdict is Verdict.WHOLE
    assert cluster.get("ConfigMap", "roster")["data"] == {"n": "2"}


def test_readiness_sees_plain_json() -> None:
    """What a schema says of a value (base64, a time) is not applied, as in earlier versions."""
    spec = definition(
        {
            "id": "secret",
            "template": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}},
            "readyWhen": ["${size(secret.data.k) == 8}"],
        }
    )
    cluster = Cluster(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "s", "namespace": "team-a"},
            "data": {"k": "aGVsbG8="},
        }
    )
    assert passed(compiled(spec), cluster).outcome().verdict is Verdict.WHOLE


def test_ignored_dependency_wins_over_one_that_is_not_known() -> None:
    """A node of which one dependency is left out is left out, whatever becomes of the other."""
    spec = definition(
        widget("src"),
        config_map("late", includeWhen=["${src.status.phase == 'open'}"]),
        config_map("out", includeWhen=["${schema.spec.on}"]),
        config_map("both", data={"l": "${late.metadata.name}", "o": "${out.metadata.name}"}),
    )
    states = passed(compiled(spec), Cluster(), on=False).outcome().states
    assert states["late"] is NodeState.IN_PROGRESS
    assert states["both"] is NodeState.SKIPPED


def test_value_that_is_nested_too_deep_is_broken() -> None:
    """Nothing is written of which a part may have been cut off, and the node is named."""
    graph = compiled(definition(widget("w", spec={"open": "${schema.spec.free}"})))

    def nested(levels: int) -> Any:
        value: Any = "leaf"
        for _ in range(levels):
            value = {"a": value}
        return value

    assert passed(graph, Cluster(), free=nested(200)).outcome().verdict is Verdict.WHOLE
    for levels in (201, 500, 5000):
        outcome = passed(graph, Cluster(), free=nested(levels)).outcome()
        assert outcome.verdict is Verdict.BROKEN
        assert 'node "w"' in outcome.message
        assert "nested" in outcome.message


# namespaces, inventory


def test_namespace_comes_from_the_instance() -> None:
    """A namespaced object without one gets the instance's; a cluster-scoped instance has none."""
    cluster = Cluster()
    passed(compiled(definition(config_map("a"))), cluster)
    assert ("ConfigMap", NamespacedName("team-a", "a")) in cluster.objects
    cluster_scoped = compiled(definition(config_map("a", name="x"), scope="Namespaced"))
    outcome = passed(cluster_scoped, Cluster(), instance(namespace="")).outcome()
    assert outcome.verdict is Verdict.BROKEN
    assert "must resolve metadata.namespace when the instance is cluster-scoped" in outcome.message


def test_claims_cover_nodes_that_wait_for_a_write() -> None:
    """One record of the inventory before the first write covers the whole pass."""
    spec = definition(
        config_map("a", data={"v": "1"}),
        widget("w", spec={"name": "${a.data.v}"}),
        widget("skipped", includeWhen=["${schema.spec.on}"], name="s"),
    )
    frame = Frame(compiled(spec), instance(on=False))
    cluster = Cluster()
    steps = frame.next_steps()
    frame.record([cluster._perform(step) for step in steps])
    assert isinstance(frame.next_steps()[0], Apply)
    kinds, namespaces = frame.claims()
    assert kinds == {GroupKind("", "ConfigMap"), GroupKind("test.dev", "Widget")}
    assert namespaces == {"team-a"}


def test_instance_data_is_never_evaluated() -> None:
    """A text that looks like an expression is a text."""
    spec = definition(config_map("a", data={"v": "${schema.spec.name}"}))
    cluster = Cluster()
    passed(compiled(spec), cluster, name="cost ${schema.spec.name} and ${a.metadata.uid}")
    assert cluster.get("ConfigMap", "a")["data"]["v"] == (
        "cost ${schema.spec.name} and ${a.metadata.uid}"
    )


def test_omitted_fields_are_not_there() -> None:
    """Keys and list elements go; what held them stays, even empty."""
    spec = definition(
        widget(
            "w",
            spec={
                "name": "${schema.spec.on ? 'x' : omit()}",
                "tags": ["-a", "${schema.spec.on ? '-v' : omit()}", "-z"],
                "labels": {"only": "${schema.spec.on ? 'x' : omit()}"},
            },
        )
    )
    cluster = Cluster()
    passed(compiled(spec, omit=True), cluster, on=False)
    assert cluster.get("Widget", "w")["spec"] == {"tags": ["-a", "-z"], "labels": {}}
    passed(compiled(spec, omit=True), cluster, on=True)
    assert cluster.get("Widget", "w")["spec"]["tags"] == ["-a", "-v", "-z"]


@pytest.mark.parametrize("name", ["", None])
def test_object_without_a_name_is_broken(name: str | None) -> None:
    """The node is named before the API server would have to complain."""
    spec = definition(config_map("a", name="${schema.spec.free.name}"))
    outcome = passed(compiled(spec), Cluster(), free={"name": name}).outcome()
    assert outcome.verdict is Verdict.BROKEN
    assert 'node "a": metadata.name must resolve to a non-empty string' in outcome.message


TELLTALE = definition(
    {
        "id": "seed",
        "externalRef": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "seed"}},
    },
    config_map("number", data={"n": "${string(int(string(seed.data.port)))}"}),
)


@pytest.mark.parametrize("port", ["not-a-number", "x" * 100], ids=["short", "cut when quoted"])
def test_an_error_tells_nothing_of_a_secret(port: str) -> None:
    """Who may read an instance's conditions need not be who may read the Secret."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "seed", "namespace": "team-a"},
        "data": {"port": base64.b64encode(port.encode()).decode()},
    }

    outcome = passed(compiled(TELLTALE), Cluster(secret)).outcome()

    assert outcome.verdict is Verdict.BROKEN
    assert "invalid syntax" in outcome.message
    assert "<redacted>" in outcome.message
    assert port[:16] not in outcome.message
    assert port[:16] not in str(outcome.error)
