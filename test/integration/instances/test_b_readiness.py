# ruff: noqa: E501 - definitions stand here as authors write them
"""Scenarios B: who waits for whom, and what a wait leaves alone.

Source: spec instance-runtime.md §10.B.
"""

from __future__ import annotations

from typing import Any

import pytest

from kro import names
from kro.refs import GVR
from support.kube import condition
from support.lab import WIDGETS, Lab, annotations_of, is_settled, message, state, uid

JOBS = GVR("batch", "v1", "jobs")

GATE = """
schema:
  kind: Gate
  spec: {name: string}
  status: {phase: "${door.status.phase}"}
resources:
- id: door
  readyWhen: ["${door.status.phase == 'open'}"]
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.spec.name}-door"}, spec: {size: 1}}
- id: room
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.spec.name}-room"}, data: {door: "${door.metadata.name}"}}
"""


async def widget(lab: Lab, name: str) -> Any:
    """Return a widget that has to be there."""
    return await lab.kube.until(WIDGETS, name, bool, lab.namespace)


async def no_widget(lab: Lab, name: str) -> bool:
    """Whether a widget is missing."""
    return await lab.kube.get(WIDGETS, name, lab.namespace) is None


async def test_b_01_dependent_waits_for_readiness(lab: Lab) -> None:
    """Existence is not enough where readyWhen says more; the message names what is not ready."""
    await lab.define(GATE)
    await lab.create("Gate", "g", {"name": "g"})
    door = await widget(lab, "g-door")
    assert annotations_of(door)[names.APPLY_ORDER] == "1"
    live = await lab.says("Gate", "g", 'waiting for node "door"', state="IN_PROGRESS")
    assert message(live).startswith(
        'resource reconciliation failed: apply results contain errors: waiting for node "door"'
    )
    assert condition(live, "Ready")["reason"] == "NotReady"
    await lab.absent_cm("g-room")
    await lab.widget("g-door", phase="closed")
    live = await lab.says("Gate", "g", "readyWhen condition evaluated to false", "g-door")
    assert live["status"]["phase"] == "closed"
    assert await lab.cm("g-room") is None
    await lab.widget("g-door", phase="open")
    room = await lab.until_cm("g-room")
    assert annotations_of(room)[names.APPLY_ORDER] == "2"
    assert (await lab.settled("Gate", "g"))["status"]["phase"] == "open"


async def test_b_02_loss_of_readiness(lab: Lab) -> None:
    """What depended stays, and is not even corrected until the wait is over."""
    await lab.define(GATE)
    await lab.create("Gate", "g", {"name": "g"})
    await lab.widget("g-door", phase="open")
    await lab.settled("Gate", "g")
    await lab.widget("g-door", phase="closed")
    await lab.says("Gate", "g", "readyWhen", state="IN_PROGRESS")
    await lab.edit_cm("g-room", door="by hand")

    async def left_alone() -> bool:
        room = await lab.cm("g-room")
        return room is not None and room["data"]["door"] == "by hand"

    await lab.stays(left_alone)
    await lab.widget("g-door", phase="open")
    await lab.until_cm("g-room", lambda cm: cm["data"]["door"] == "g-door")


async def test_b_03_last_node_counts(lab: Lab) -> None:
    """What readyWhen of a node says that nobody reads holds the instance in progress."""
    await lab.define("""
schema: {kind: Batch, spec: {}}
resources:
- id: a
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {v: "1"}}
- id: job
  readyWhen: ["${has(job.status.completionTime)}"]
  template:
    apiVersion: batch/v1
    kind: Job
    metadata: {name: "${a.metadata.name}"}
    spec:
      template:
        spec: {restartPolicy: Never, containers: [{name: c, image: registry.k8s.io/pause:3.9}]}
""")
    await lab.create("Batch", "b")
    await lab.says("Batch", "b", 'waiting for node "job"', state="IN_PROGRESS")
    done = {
        "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T00:00:10Z",
        "succeeded": 1,
        "uncountedTerminatedPods": {},
        "conditions": [
            {"type": "SuccessCriteriaMet", "status": "True", "reason": "x", "message": "x"},
            {"type": "Complete", "status": "True", "reason": "x", "message": "x"},
        ],
    }
    await lab.kube.merge(JOBS, "b", {"status": done}, lab.namespace, subresource="status")
    await lab.settled("Batch", "b")


@pytest.mark.parametrize("first", ["l", "r"])
async def test_b_04_two_gates(lab: Lab, first: str) -> None:
    """A node with two dependencies waits for both, in whatever order they come."""
    await lab.define("""
schema: {kind: TwoGates, spec: {}}
resources:
- id: left
  readyWhen: ["${left.status.phase == 'open'}"]
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-l"}}
- id: right
  readyWhen: ["${right.status.phase == 'open'}"]
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-r"}}
- id: hall
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-hall"}, data: {l: "${left.metadata.name}", r: "${right.metadata.name}"}}
""")
    await lab.create("TwoGates", "t")
    await widget(lab, "t-l")
    await widget(lab, "t-r")
    await lab.widget(f"t-{first}", phase="open")
    await lab.absent_cm("t-hall")
    await lab.widget("t-r" if first == "l" else "t-l", phase="open")
    await lab.until_cm("t-hall")
    await lab.settled("TwoGates", "t")


async def test_b_05_several_conditions_are_anded(lab: Lab) -> None:
    """A missing field is a wait, not an error."""
    await lab.define("""
schema: {kind: Both, spec: {}}
resources:
- id: w
  readyWhen: ["${w.status.phase == 'open'}", "${w.status.enabled}"]
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}}
""")
    await lab.create("Both", "b")
    await lab.widget("b", phase="open")
    await lab.says("Both", "b", "w.status.enabled", state="IN_PROGRESS")
    await lab.widget("b", enabled=True)
    await lab.settled("Both", "b")


NET = """
schema:
  kind: Net
  spec: {opt: "boolean | default=true"}
  status: {last: "${nat.status.handle}"}
resources:
- id: vpc
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-vpc"}}
- id: subnet
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-subnet"}, spec: {feed: "${vpc.status.handle}"}}
- id: nat
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-nat"}, spec: {feed: "${subnet.status.handle}"}}
- id: log
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-log"}, data: {ok: "yes"}}
"""


async def net(lab: Lab) -> None:
    """Serve Net and create the instance n with its whole chain."""
    await lab.define(NET)
    await lab.create("Net", "n")
    await lab.widget("n-vpc", handle="v")
    await lab.widget("n-subnet", handle="s")
    await lab.widget("n-nat", handle="t")
    await lab.until("Net", "n", lambda obj: obj.get("status", {}).get("last") == "t")


async def test_b_06_chain_of_late_data(lab: Lab) -> None:
    """An independent branch is not held up; each value lets the next object appear."""
    await lab.define(NET)
    await lab.create("Net", "n")
    await widget(lab, "n-vpc")
    await lab.until_cm("n-log")
    live = await lab.says(
        "Net",
        "n",
        "waiting for unresolved resource",
        "data pending",
        "lab.example.com/v1, Resource=widgets",
        "n-vpc",
        state="IN_PROGRESS",
    )
    assert "last" not in live["status"]
    assert await no_widget(lab, "n-subnet")
    await lab.widget("n-vpc", handle="v")
    subnet = await widget(lab, "n-subnet")
    assert subnet["spec"]["feed"] == "v"
    assert await no_widget(lab, "n-nat")
    await lab.widget("n-subnet", handle="s")
    nat = await widget(lab, "n-nat")
    live = await lab.settled("Net", "n")
    assert "last" not in live["status"]
    await lab.widget("n-nat", handle="t")
    await lab.until("Net", "n", lambda obj: obj.get("status", {}).get("last") == "t")
    log = await lab.until_cm("n-log")
    orders = [annotations_of(each)[names.APPLY_ORDER] for each in (subnet, nat, log)]
    assert orders == ["2", "3", "3"]


async def test_b_07_pending_node_keeps_its_object(lab: Lab) -> None:
    """Data that goes away takes nothing down, but the status does not pretend."""
    await net(lab)
    subnet = await widget(lab, "n-subnet")
    await lab.widget("n-vpc", handle=None)
    live = await lab.says("Net", "n", "data pending", state="IN_PROGRESS")
    assert "last" not in live["status"]
    after = await widget(lab, "n-subnet")
    assert (uid(after), after["spec"]) == (uid(subnet), subnet["spec"])
    await widget(lab, "n-nat")
    assert "deletionTimestamp" not in after["metadata"]


async def test_b_08_missing_spec_value(lab: Lab) -> None:
    """A template that needs it waits; the message names it."""
    await lab.define("""
schema: {kind: Extra, spec: {extra: string}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {x: "${schema.spec.extra}"}}
""")
    await lab.create("Extra", "e")
    await lab.says("Extra", "e", "no such key: extra", state="IN_PROGRESS")
    await lab.edit("Extra", "e", extra="now")
    await lab.settled("Extra", "e")


BROKEN = """
schema: {kind: Broken, spec: {n: integer}}
resources:
- id: good
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-good"}, data: {a: "1"}}
- id: bad
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-bad"}, data: {q: "${string(10 / schema.spec.n)}"}}
"""


async def test_b_09_broken_expression_blocks_everything(lab: Lab) -> None:
    """Nothing is written while one node cannot be rendered; a better spec heals it."""
    await lab.define(BROKEN)
    await lab.create("Broken", "b", {"n": 0})
    await lab.says("Broken", "b", "division by zero", state="ERROR")
    await lab.absent_cm("b-good")
    await lab.edit("Broken", "b", n=5)
    await lab.settled("Broken", "b")
    assert await lab.cm("b-good")
    assert await lab.cm("b-bad")


async def test_b_10_broken_readiness(lab: Lab) -> None:
    """A readyWhen that cannot work with its data is an error of its node; the others are there."""
    await lab.define("""
schema: {kind: Loose, spec: {}}
resources:
- id: w
  readyWhen: ["${int(w.status.phase) > 0}"]
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}}
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {a: "1"}}
""")
    await lab.create("Loose", "l")
    await lab.widget("l", phase="yes")
    await lab.says("Loose", "l", 'node "w"', "int(w.status.phase) > 0", state="ERROR")
    assert await lab.cm("l")
    await lab.widget("l", phase="1")
    await lab.settled("Loose", "l")


async def test_b_11_apply_orders_of_a_diamond(lab: Lab) -> None:
    """The wave of a node counts from the end: who depends on nothing shares the last one."""
    reads = {"a": "", "b": "${a.metadata.name}", "c": "${a.metadata.name}"}
    reads |= {"d": "${b.metadata.name}${c.metadata.name}", "z": ""}
    resources = "".join(
        f"""
- id: {name}
  template: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: "${{schema.metadata.name}}-{name}"}}, data: {{v: "{text}"}}}}"""
        for name, text in reads.items()
    )
    await lab.define("schema: {kind: Diamond, spec: {}}\nresources:" + resources)
    await lab.create("Diamond", "x")
    await lab.settled("Diamond", "x")
    orders = {
        name[-1]: annotations_of(cm)[names.APPLY_ORDER] for name, cm in (await lab.cms()).items()
    }
    assert orders == {"a": "1", "b": "2", "c": "2", "d": "3", "z": "3"}


async def test_b_12_depth(lab: Lab) -> None:
    """Each copies the uid of the one before; all are there at once."""
    resources = "".join(
        f"""
- id: n{at}
  template: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: "${{schema.metadata.name}}-{at}"}}, data: {{v: "{f"${{n{at - 1}.metadata.uid}}" if at else "x"}"}}}}"""
        for at in range(5)
    )
    await lab.define("schema: {kind: Deep, spec: {}}\nresources:" + resources)
    await lab.create("Deep", "d")
    await lab.settled("Deep", "d")
    found = await lab.cms()
    for at in range(1, 5):
        assert found[f"d-{at}"]["data"]["v"] == uid(found[f"d-{at - 1}"])


async def test_b_13_readiness_of_a_secret(lab: Lab) -> None:
    """The size of the data is positive, encoded or not."""
    await lab.define("""
schema: {kind: Safe, spec: {}}
resources:
- id: s
  readyWhen: ["${size(s.data['k']) > 0}"]
  template: {apiVersion: v1, kind: Secret, metadata: {name: "${schema.metadata.name}"}, stringData: {k: hello}}
""")
    await lab.create("Safe", "s")
    await lab.settled("Safe", "s")


async def test_b_14_fan_out_from_one_late_value(lab: Lab) -> None:
    """Both readers appear with it; nested status and arrays fill in the written order."""
    await lab.define("""
schema:
  kind: Stack
  spec: {}
  status:
    net:
      id: ${vpc.status.handle}
      parts: ["${s1.status.handle}", "${s2.status.handle}"]
resources:
- id: vpc
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-v"}}
- id: s1
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-s1"}, spec: {feed: "${vpc.status.handle}"}}
- id: s2
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-s2"}, spec: {feed: "${vpc.status.handle}"}}
""")
    await lab.create("Stack", "s")
    live = await lab.says("Stack", "s", "data pending")
    assert "net" not in live["status"]
    await lab.widget("s-v", handle="h")
    live = await lab.until("Stack", "s", lambda obj: "net" in obj["status"])
    assert live["status"]["net"] == {"id": "h"}
    await lab.widget("s-s2", handle="two")
    await lab.widget("s-s1", handle="one")
    live = await lab.until(
        "Stack", "s", lambda obj: len(obj["status"]["net"].get("parts", [])) == 2
    )
    assert live["status"]["net"]["parts"] == ["one", "two"]
    assert is_settled(live)
    assert state(live) == "ACTIVE"
