# ruff: noqa: E501 - definitions stand here as authors write them
"""Scenarios G: status and conditions.

Source: spec instance-runtime.md §10.G.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from kro import names
from support.invariants import until
from support.kube import CONFIGMAPS, SECRETS, condition
from support.lab import Lab, labels_of, state, uid, version
from support.operator import Surroundings

MEMO = """
schema:
  kind: Memo
  spec: {text: string}
  status: {written: "${note.data.text}"}
resources:
- id: note
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-note"}, data: {text: "${schema.spec.text}"}}
"""


def types(obj: Any) -> list[str]:
    """Return the condition types in the order of the wire."""
    return [entry["type"] for entry in obj["status"]["conditions"]]


async def test_g_01_conditions_of_a_healthy_instance(lab: Lab) -> None:
    """Four of them, Ready last, each with reason, message, generation and time."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1", {"text": "x"})
    live = await lab.settled("Memo", "m1")
    found = live["status"]["conditions"]
    assert [(c["type"], c["status"], c["reason"], c["message"]) for c in found] == [
        (
            "InstanceManaged",
            "True",
            "Managed",
            "instance is properly managed with finalizers and labels",
        ),
        (
            "GraphResolved",
            "True",
            "Resolved",
            "runtime graph created and all resources resolved",
        ),
        (
            "ResourcesReady",
            "True",
            "AllResourcesReady",
            "all resources are created and ready",
        ),
        ("Ready", "True", "Ready", ""),
    ]
    assert {c["observedGeneration"] for c in found} == {1}
    assert all(c["lastTransitionTime"] for c in found)


async def test_g_02_interpolation(lab: Lab) -> None:
    """One text, or none at all."""
    await lab.define("""
schema: {kind: Line, spec: {}, status: {line: "${note.metadata.name} is ${note.status.phase}"}}
resources:
- id: note
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-w"}}
""")
    await lab.create("Line", "l")
    assert "line" not in (await lab.settled("Line", "l"))["status"]
    await lab.widget("l-w", phase="fine")
    await lab.until("Line", "l", lambda obj: obj["status"].get("line") == "l-w is fine")


async def test_g_03_fields_come_and_go(lab: Lab) -> None:
    """Each field is there exactly when all its sources are."""
    nodes = "".join(
        f"""
- id: {n}
  includeWhen: ["${{schema.spec.{n}}}"]
  template: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: "${{schema.metadata.name}}-{n}"}}, data: {{v: {n}}}}}"""
        for n in "abc"
    )
    await lab.define(
        """
schema:
  kind: Parts
  spec: {a: boolean, b: boolean, c: boolean}
  status: {fa: "${a.data.v}", fab: "${a.data.v}${b.data.v}", fabc: "${a.data.v}-${b.data.v}-${c.data.v}"}
resources:"""
        + nodes
    )
    for a, b, c in itertools.product([True, False], repeat=3):
        await lab.create("Parts", "p", {"a": a, "b": b, "c": c})
        live = await lab.settled("Parts", "p")
        fields = {
            key: live["status"][key] for key in ("fa", "fab", "fabc") if key in live["status"]
        }
        expected = {"fa": "a"} if a else {}
        expected |= {"fab": "ab"} if a and b else {}
        expected |= {"fabc": "a-b-c"} if a and b and c else {}
        assert fields == expected


async def test_g_04_arrays(lab: Lab) -> None:
    """Real arrays, in order, at any depth."""
    await lab.define("""
schema: {kind: Lists, spec: {}, status: {list: ["${a.data.v}", "${b.data.v}"], o: {list: ["${a.data.v}"]}}}
resources:
- id: a
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-a"}, data: {v: one}}
- id: b
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-b"}, data: {v: two}}
""")
    await lab.create("Lists", "l")
    live = await lab.settled("Lists", "l")
    assert live["status"]["list"] == ["one", "two"]
    assert live["status"]["o"] == {"list": ["one"]}


async def test_g_broken_status_field(lab: Lab) -> None:
    """It is left out, and takes neither the other fields nor the conditions along."""
    await lab.define("""
schema: {kind: Half, spec: {n: integer}, status: {bad: "${10 / schema.spec.n}", good: "${cm.metadata.name}"}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}}
""")
    await lab.create("Half", "h", {"n": 0})
    live = await lab.settled("Half", "h")
    assert live["status"]["good"] == "h"
    assert "bad" not in live["status"]
    await lab.edit("Half", "h", n=5)
    await lab.until("Half", "h", lambda obj: obj["status"].get("bad") == 2)


async def test_g_05_schema_alone_and_both(lab: Lab) -> None:
    """What needs no resource is there while resources are pending."""
    await lab.define("""
schema:
  kind: Mixed
  spec: {text: string}
  status: {s: "${schema.spec.text}", m: "${schema.spec.text + '/' + note.metadata.name}"}
resources:
- id: w
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}}
- id: note
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {v: "${w.status.handle}"}}
""")
    await lab.create("Mixed", "m", {"text": "a"})
    live = await lab.says("Mixed", "m", "data pending")
    assert live["status"]["s"] == "a"
    assert "m" not in live["status"]
    await lab.widget("m", handle="h")
    assert (await lab.settled("Mixed", "m"))["status"]["m"] == "a/m"
    await lab.edit("Mixed", "m", text="b")
    live = await lab.settled("Mixed", "m")
    assert (live["status"]["s"], live["status"]["m"]) == ("b", "b/m")


async def test_g_06_typed_projections(lab: Lab) -> None:
    """Integers, booleans, objects and times keep their kinds."""
    await lab.define("""
schema:
  kind: Typed
  spec: {n: integer, b: boolean}
  status:
    n: ${schema.spec.n + 1}
    b: ${!schema.spec.b}
    labels: ${note.metadata.labels}
    since: ${note.metadata.creationTimestamp}
resources:
- id: note
  template: {apiVersion: v1, kind: Secret, metadata: {name: "${schema.metadata.name}", labels: {x: y}}}
""")
    await lab.create("Typed", "t", {"n": 4, "b": False})
    live = await lab.settled("Typed", "t")
    note = await lab.kube.get(SECRETS, "t", lab.namespace)
    assert note is not None
    assert live["status"]["n"] == 5
    assert live["status"]["b"] is True
    assert live["status"]["labels"] == labels_of(note)
    assert live["status"]["since"] == note["metadata"]["creationTimestamp"]


async def test_g_07_secret_data_is_decoded(lab: Lab) -> None:
    """Expressions see what the data means, not how it is encoded."""
    await lab.define("""
schema: {kind: Decoded, spec: {}}
resources:
- id: sec
  template: {apiVersion: v1, kind: Secret, metadata: {name: "${schema.metadata.name}"}, stringData: {k: hello}}
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {v: "${string(sec.data.k)}"}}
""")
    await lab.create("Decoded", "d")
    await lab.settled("Decoded", "d")
    assert (await lab.until_cm("d"))["data"] == {"v": "hello"}


async def test_g_08_no_stale_errors(lab: Lab) -> None:
    """A message is about now."""
    await lab.define(MEMO)
    await lab.deny(lab.namespace, suffix="-note", text="not today")
    await lab.create("Memo", "m", {"text": "x"})
    await lab.says("Memo", "m", "not today", state="ERROR")
    await lab.allow(lab.namespace)
    assert "not today" not in str(await lab.settled("Memo", "m"))


COND = """
schema:
  kind: Cond
  spec: {ok: "boolean | default=false", other: "string | default=x"}
  status:
    conditions:
    - "${runtime.newCondition({type: 'AppReady', status: schema.spec.ok ? 'True' : 'False', reason: 'Spec', message: ''})}"
    - "${runtime.newCondition({type: 'Mirror', status: runtime.condition(schema, 'ResourcesReady').status, reason: 'Kro', message: ''})}"
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {a: "1"}}
"""


async def authored(lab: Lab, text: str = COND, **spec: Any) -> Any:
    """Serve Cond and return the instance c when its Mirror is True."""
    await lab.define(text)
    await lab.create("Cond", "c", spec)
    return await lab.until("Cond", "c", mirrored)


def mirrored(obj: Any) -> bool:
    """Whether Mirror is True for the current generation."""
    mirror = condition(obj, "Mirror")
    return (
        mirror.get("status") == "True"
        and mirror["observedGeneration"] == obj["metadata"]["generation"]
    )


async def test_g_09_author_conditions_replace_the_built_ins(lab: Lab) -> None:
    """Exactly what is declared is there, in that order."""
    live = await authored(lab)
    assert types(live) == ["AppReady", "Mirror"]
    for entry in live["status"]["conditions"]:
        assert entry["observedGeneration"] == 1
        assert entry["lastTransitionTime"]
        assert "message" not in entry
    assert state(live) == "ACTIVE"


async def test_g_10_transition_time_moves_with_the_status(lab: Lab) -> None:
    """Another generation alone does not move it."""
    before = await authored(lab)
    await asyncio.sleep(1.1)  # times have whole seconds
    await lab.edit("Cond", "c", ok=True)
    after = await lab.until("Cond", "c", mirrored)

    def time(obj: Any, name: str) -> str:
        return str(condition(obj, name)["lastTransitionTime"])

    assert time(after, "AppReady") != time(before, "AppReady")
    assert time(after, "Mirror") == time(before, "Mirror")
    await lab.edit("Cond", "c", other="y")
    last = await lab.until("Cond", "c", mirrored)
    assert time(last, "AppReady") == time(after, "AppReady")
    assert condition(last, "AppReady")["observedGeneration"] == 3


async def test_g_11_author_ready_overrides(lab: Lab) -> None:
    """What users see as Ready is the author's word; the state is kro's."""
    own = """- "${runtime.newCondition({type: 'Ready', status: 'False', reason: 'No', message: 'm'})}"\n    - """
    await lab.define(COND.replace("- ", own, 1))
    await lab.create("Cond", "c")
    live = await lab.until("Cond", "c", mirrored)
    ready = condition(live, "Ready")
    assert (ready["status"], ready["reason"], state(live)) == ("False", "No", "ACTIVE")
    await lab.edit("Cond", "c", other="y")
    again = await lab.until("Cond", "c", mirrored)
    assert condition(again, "Ready")["lastTransitionTime"] == ready["lastTransitionTime"]


async def test_g_12_built_ins_are_read_as_they_are(lab: Lab) -> None:
    """An author's ResourcesReady does not hide kro's own."""
    await lab.define("""
schema:
  kind: Cond
  spec: {}
  status:
    conditions:
    - "${runtime.newCondition({type: 'ResourcesReady', status: 'True', reason: 'Mine'})}"
    - "${runtime.newCondition({type: 'Mirror', status: runtime.condition(schema, 'ResourcesReady').status})}"
resources:
- id: w
  readyWhen: ["${w.status.phase == 'open'}"]
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}}
""")
    await lab.create("Cond", "c")
    live = await lab.until("Cond", "c", lambda obj: condition(obj, "Mirror"))
    assert condition(live, "ResourcesReady")["status"] == "True"
    assert condition(live, "Mirror")["status"] == "False"
    assert state(live) == "IN_PROGRESS"
    await lab.widget("c", phase="open")
    await lab.until("Cond", "c", mirrored)


async def test_g_13_duplicate_types(lab: Lab, operator: Surroundings) -> None:
    """A type given twice is dropped, as the log says, and the instance is in error."""
    twice = """- "${runtime.newCondition({type: 'T-' + schema.spec.name, status: 'True'})}" """
    await lab.define(f"""
schema:
  kind: Cond
  spec: {{name: string}}
  status:
    conditions:
    - "${{runtime.newCondition({{type: 'Survivor', status: 'True'}})}}"
    {twice}
    {twice}
resources:
- id: cm
  template: {{apiVersion: v1, kind: ConfigMap, metadata: {{name: "${{schema.metadata.name}}"}}}}
""")
    await lab.create("Cond", "c", {"name": "x"})
    live = await lab.until("Cond", "c", lambda obj: state(obj) == "ERROR")
    assert types(live) == ["Survivor"]

    def is_told() -> bool:
        lines = operator.log.read_text().splitlines()
        return any("condition left out" in line and lab.namespace in line for line in lines)

    await until(is_told)


async def test_g_14_pending_data_keeps_the_old_condition(lab: Lab) -> None:
    """A condition whose data is gone stays byte for byte."""
    await lab.define("""
schema:
  kind: Cond
  spec: {n: "integer | default=1"}
  status:
    conditions:
    - "${runtime.newCondition({type: 'Static', status: 'True'})}"
    - "${runtime.newCondition({type: 'Data', status: ext.data.flag})}"
resources:
- id: ext
  externalRef: {apiVersion: v1, kind: ConfigMap, metadata: {name: ext}}
""")
    await lab.put_cm("ext", {"flag": "True"})
    await lab.create("Cond", "c")
    before = await lab.until("Cond", "c", lambda obj: condition(obj, "Data"))
    await lab.edit_cm("ext", flag=None)
    await lab.edit("Cond", "c", n=2)
    after = await lab.until(
        "Cond", "c", lambda obj: condition(obj, "Static").get("observedGeneration") == 2
    )
    assert condition(after, "Data") == condition(before, "Data")


async def test_g_15_without_the_block_the_built_ins_are_back(lab: Lab) -> None:
    """The author's types vanish with the block."""
    await authored(lab)
    head, _, rest = COND.partition("  status:\n")
    await lab.define(head + rest[rest.index("resources:") :])
    live = await lab.settled("Cond", "c")
    assert types(live) == ["InstanceManaged", "GraphResolved", "ResourcesReady", "Ready"]


async def test_g_16_conditions_from_a_collection(lab: Lab) -> None:
    """One per item; superfluous ones go when the collection shrinks."""
    await lab.define("""
schema:
  kind: Cond
  spec: {rooms: "[]string"}
  status:
    conditions:
    - "${rooms.map(r, runtime.newCondition({type: 'Room-' + r.data.room, status: 'True', reason: '', message: ''}))}"
resources:
- id: rooms
  forEach: [{room: "${schema.spec.rooms}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${room}"}, data: {room: "${room}"}}
""")
    await lab.create("Cond", "c", {"rooms": ["a", "b"]})
    await lab.until("Cond", "c", lambda obj: "status" in obj and types(obj) == ["Room-a", "Room-b"])
    await lab.edit("Cond", "c", rooms=["b"])
    await lab.until("Cond", "c", lambda obj: types(obj) == ["Room-b"])


@pytest.mark.parametrize("word", ["suspended", "Suspended", "SUSPENDED", "disabled", "Disabled"])
async def test_g_17_suspension(lab: Lab, word: str) -> None:
    """Nothing is done for the resources, and the status says why."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1", {"text": "x"})
    await lab.settled("Memo", "m1")
    await lab.suspend("Memo", "m1", word)
    live = await lab.says("Memo", "m1", "reconciliation suspended", state="ACTIVE")
    assert condition(live, "ResourcesReady")["reason"] == "ReconciliationSuspended"
    assert condition(live, "Ready")["reason"] == "ReconciliationSuspended"
    assert "written" not in live["status"]
    await lab.edit("Memo", "m1", text="y")
    await lab.kube.delete(CONFIGMAPS, "m1-note", lab.namespace)
    await lab.absent_cm("m1-note")


@pytest.mark.parametrize("word", ["reconcile", "true", ""])
async def test_g_17_other_words_do_not_suspend(lab: Lab, word: str) -> None:
    """Only the two words count."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1", {"text": "x"}, annotations={names.RECONCILE: word})
    await lab.settled("Memo", "m1")


async def test_g_18_resumption(lab: Lab) -> None:
    """A pass starts by itself and catches up."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1", {"text": "x"}, annotations={names.RECONCILE: "suspended"})
    await lab.says("Memo", "m1", "suspended")
    assert await lab.cm("m1-note") is None
    await lab.edit("Memo", "m1", text="y")
    await lab.suspend("Memo", "m1", None)
    assert (await lab.settled("Memo", "m1"))["status"]["written"] == "y"


async def test_g_20_status_is_ours(lab: Lab) -> None:
    """A hand edit triggers nothing, and the next pass corrects it."""
    await lab.define(MEMO)
    await lab.create("Memo", "m1", {"text": "x"})
    await lab.settled("Memo", "m1")
    edited = await lab.kube.merge(
        lab.gvr("Memo"),
        "m1",
        {"status": {"written": "lie", "conditions": []}},
        lab.namespace,
        subresource="status",
    )

    async def unchanged() -> bool:
        return version(await lab.get("Memo", "m1")) == version(edited)

    await lab.stays(unchanged)
    await lab.edit_cm("m1-note", text="drift")
    live = await lab.settled("Memo", "m1")
    assert live["status"]["written"] == "x"
    assert uid(live) == uid(edited)
