# ruff: noqa: E501 - definitions stand here as authors write them
"""Scenarios D: collections.

Source: spec instance-runtime.md §10.D.
"""

from __future__ import annotations

from typing import Any

import pytest

from kro import names
from support.kube import CONFIGMAPS
from support.lab import WIDGETS, Lab, labels_of, namespaces, uid, version

ROOMS = """
schema:
  kind: House
  spec: {rooms: "[]string", lit: "boolean | default=true"}
  status:
    count: ${size(rooms)}
    names: ${rooms.map(r, r.metadata.name)}
resources:
- id: rooms
  forEach:
  - room: ${schema.spec.rooms}
  includeWhen: ["${schema.spec.lit}"]
  template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "${schema.metadata.name}-${room}"}
    data: {room: "${room}"}
"""


async def house(lab: Lab, *rooms: str, name: str = "h", **spec: Any) -> Any:
    """Serve House and return a settled instance with these rooms."""
    await lab.define(ROOMS)
    await lab.create("House", name, {"rooms": list(rooms), **spec})
    return await lab.settled("House", name)


async def places(lab: Lab) -> dict[str, tuple[str, str]]:
    """Return index and size labels of all items by name."""
    return {
        name: (labels_of(cm)[names.COLLECTION_INDEX], labels_of(cm)[names.COLLECTION_SIZE])
        for name, cm in (await lab.cms()).items()
    }


async def test_d_01_one_object_per_element(lab: Lab) -> None:
    """Labels tell node, position and size; the status lists the items in order."""
    live = await house(lab, "hall", "bath", "attic")
    assert await places(lab) == {"h-hall": ("0", "3"), "h-bath": ("1", "3"), "h-attic": ("2", "3")}
    assert {labels_of(cm)[names.NODE_ID] for cm in (await lab.cms()).values()} == {"rooms"}
    assert live["status"]["count"] == 3
    assert live["status"]["names"] == ["h-hall", "h-bath", "h-attic"]


async def test_d_02_shrink_relabel_grow(lab: Lab) -> None:
    """Survivors are relabelled, never recreated."""
    await house(lab, "hall", "bath", "attic")
    before = {name: uid(cm) for name, cm in (await lab.cms()).items()}
    await lab.edit("House", "h", rooms=["attic", "hall"])
    await lab.settled("House", "h")
    assert await places(lab) == {"h-attic": ("0", "2"), "h-hall": ("1", "2")}
    assert {name: uid(cm) for name, cm in (await lab.cms()).items()}.items() <= before.items()
    await lab.edit("House", "h", rooms=["attic", "hall", "den"])
    await lab.settled("House", "h")
    assert await places(lab) == {"h-attic": ("0", "3"), "h-hall": ("1", "3"), "h-den": ("2", "3")}


async def test_d_03_empty_from_the_start(lab: Lab) -> None:
    """No items, settled, and the status says so."""
    live = await house(lab, name="empty")
    assert await lab.cms() == {}
    assert live["status"]["count"] == 0
    assert live["status"]["names"] == []


async def test_d_04_shrink_to_empty(lab: Lab) -> None:
    """All items go, and the count is right in the same pass."""
    await house(lab, "hall", "bath")
    await lab.edit("House", "h", rooms=[])
    live = await lab.settled("House", "h")
    assert await lab.cms() == {}
    assert live["status"]["count"] == 0


async def test_d_05_condition_on_the_whole_collection(lab: Lab) -> None:
    """All items go and come back together, and so do the projected fields."""
    await house(lab, "hall", "bath")
    await lab.edit("House", "h", lit=False)
    live = await lab.settled("House", "h")
    assert await lab.cms() == {}
    assert "count" not in live["status"]
    assert "names" not in live["status"]
    await lab.edit("House", "h", lit=True)
    await lab.settled("House", "h")
    assert sorted(await lab.cms()) == ["h-bath", "h-hall"]


CELLS = """
schema: {kind: Grid, spec: {rows: "[]string", cols: "[]string"}}
resources:
- id: cells
  forEach:
  - row: ${schema.spec.rows}
  - col: ${schema.spec.cols}
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-${row}-${col}"}}
"""


async def test_d_06_product(lab: Lab) -> None:
    """The last dimension runs fastest; an empty one gives nothing."""
    await lab.define(CELLS)
    await lab.create("Grid", "g", {"rows": ["a", "b"], "cols": ["x", "y", "z"]})
    await lab.settled("Grid", "g")
    order = ["g-a-x", "g-a-y", "g-a-z", "g-b-x", "g-b-y", "g-b-z"]
    assert await places(lab) == {name: (str(at), "6") for at, name in enumerate(order)}
    await lab.edit("Grid", "g", cols=[])
    await lab.settled("Grid", "g")
    assert await lab.cms() == {}


async def test_d_07_items_that_use_another_resource(lab: Lab) -> None:
    """No item exists until what it reads is ready."""
    await lab.define("""
schema: {kind: Using, spec: {tags: "[]string"}}
resources:
- id: src
  readyWhen: ["${src.status.phase == 'open'}"]
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}}
- id: parts
  forEach: [{t: "${schema.spec.tags}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-${t}"}, data: {src: "${src.metadata.name}"}}
""")
    await lab.create("Using", "u", {"tags": ["a", "b"]})
    await lab.says("Using", "u", 'waiting for node "src"')
    assert await lab.cms() == {}
    await lab.widget("u", phase="open")
    await lab.settled("Using", "u")
    assert {cm["data"]["src"] for cm in (await lab.cms()).values()} == {"u"}


async def test_d_08_for_each_over_live_data(lab: Lab) -> None:
    """The list follows the object that it is read from."""
    await lab.define("""
schema: {kind: Csv, spec: {csv: string}}
resources:
- id: list
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-list"}, data: {csv: "${schema.spec.csv}"}}
- id: parts
  forEach: [{p: "${list.data.csv.split(',')}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-${p}"}}
""")
    await lab.create("Csv", "c", {"csv": "a,b"})
    await lab.settled("Csv", "c")
    assert sorted(await lab.cms()) == ["c-a", "c-b", "c-list"]
    await lab.edit("Csv", "c", csv="a,b,c")
    await lab.settled("Csv", "c")
    assert sorted(await lab.cms()) == ["c-a", "c-b", "c-c", "c-list"]


async def test_d_09_collection_from_a_collection(lab: Lab) -> None:
    """One object per object of the first, in the same order."""
    await lab.define("""
schema: {kind: Taps, spec: {names: "[]string"}, status: {taps: "${taps.map(t, t.metadata.name)}"}}
resources:
- id: pods
  forEach: [{n: "${schema.spec.names}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${n}"}}
- id: taps
  forEach: [{p: "${pods}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${p.metadata.name}-tap"}}
""")
    await lab.create("Taps", "t", {"names": ["b", "a"]})
    live = await lab.settled("Taps", "t")
    assert live["status"]["taps"] == ["b-tap", "a-tap"]


async def test_d_10_deep_chain_up_and_down(lab: Lab) -> None:
    """Three tiers grow and shrink together."""
    await lab.define("""
schema:
  kind: Tiers
  spec: {names: "[]string"}
  status: {a: "${size(a)}", b: "${size(b)}", c: "${size(c)}"}
resources:
- id: a
  forEach: [{n: "${schema.spec.names}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "a-${n}"}}
- id: b
  forEach: [{x: "${a}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "b-${x.metadata.name}"}}
- id: c
  forEach: [{x: "${b}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "c-${x.metadata.name}"}}
""")
    await lab.create("Tiers", "t", {"names": ["1", "2"]})
    for size in (2, 4, 1):
        await lab.edit("Tiers", "t", names=[str(n) for n in range(1, size + 1)])
        live = await lab.settled("Tiers", "t")
        assert [live["status"][tier] for tier in "abc"] == [size] * 3
        assert len(await lab.cms()) == 3 * size


SUMMARY = ROOMS.replace(
    "resources:",
    """resources:
- id: sum
  template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "${schema.metadata.name}--sum"}
    data: {n: "${string(size(rooms))}", all: "${rooms.map(r, r.data.room).join(',')}"}""",
)


async def test_d_11_one_resource_that_summarises(lab: Lab) -> None:
    """It sees all items in order, or an empty list."""
    await lab.define(SUMMARY)
    await lab.create("House", "h", {"rooms": ["hall", "bath"]})
    await lab.settled("House", "h")
    assert (await lab.until_cm("h--sum"))["data"] == {"n": "2", "all": "hall,bath"}
    await lab.edit("House", "h", rooms=[])
    await lab.settled("House", "h")
    assert (await lab.until_cm("h--sum"))["data"] == {"n": "0", "all": ""}


OPEN_CELLS = """
schema: {kind: Cells, spec: {names: "[]string"}}
resources:
- id: cells
  forEach: [{n: "${schema.spec.names}"}]
  readyWhen: READY
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${n}"}}
"""
AFTER = """
- id: after
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-after"}, data: {n: "${string(size(cells))}"}}
"""


@pytest.mark.parametrize("after", [True, False], ids=["with a dependent", "alone"])
async def test_d_12_readiness_of_each(lab: Lab, after: bool) -> None:
    """All items have to be open."""
    text = OPEN_CELLS.replace("READY", """["${each.status.phase == 'open'}"]""")
    await lab.define(text + (AFTER if after else ""))
    await lab.create("Cells", "c", {"names": ["one", "two"]})
    await lab.widget("one", phase="open")
    await lab.says("Cells", "c", 'waiting for node "cells"', "two", state="IN_PROGRESS")
    assert await lab.cm("c-after") is None
    await lab.widget("two", phase="open")
    await lab.settled("Cells", "c")
    assert (await lab.cm("c-after") is not None) is after


async def test_d_13_several_conditions_per_item(lab: Lab) -> None:
    """An item that meets only one of them is not ready."""
    ready = """["${each.status.phase == 'open'}", "${each.status.enabled}"]"""
    await lab.define(OPEN_CELLS.replace("READY", ready))
    await lab.create("Cells", "c", {"names": ["one"]})
    await lab.widget("one", phase="open")
    await lab.says("Cells", "c", "each.status.enabled", state="IN_PROGRESS")
    await lab.widget("one", enabled=True)
    await lab.settled("Cells", "c")


async def test_d_14_deletion_of_all_items(lab: Lab) -> None:
    """No item is left behind."""
    await house(lab, "hall", "bath", "attic")
    await lab.delete("House", "h")
    await lab.gone("House", "h")
    assert await lab.cms() == {}


SPREAD = """
schema: {kind: Spread, spec: {spaces: "[]string"}}
resources:
- id: parts
  forEach: [{ns: "${schema.spec.spaces}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}", namespace: "${ns}"}, data: {v: "1"}}
"""


async def test_d_15_items_in_several_namespaces(lab: Lab) -> None:
    """The inventory names the other namespaces, and deletion reaches them."""
    b, c = await lab.other_namespace("b"), await lab.other_namespace("c")
    await lab.define(SPREAD)
    await lab.create("Spread", "s", {"spaces": [lab.namespace, b, c]})
    live = await lab.settled("Spread", "s")
    assert namespaces(live) == f"{b},{c}"
    for place in (lab.namespace, b, c):
        assert await lab.cm("s", place)
    await lab.delete("Spread", "s")
    await lab.gone("Spread", "s")
    for place in (lab.namespace, b, c):
        assert await lab.cm("s", place) is None


@pytest.mark.parametrize("room", ["hall", "attic"])
async def test_d_16_drift_on_any_item(lab: Lab, room: str) -> None:
    """Edited or deleted, the first like the last, it comes back."""
    await house(lab, "hall", "bath", "attic")
    await lab.edit_cm(f"h-{room}", room="x")
    restored = await lab.until_cm(f"h-{room}", lambda cm: cm["data"]["room"] == room)
    await lab.kube.delete(CONFIGMAPS, f"h-{room}", lab.namespace)
    await lab.until_cm(f"h-{room}", lambda cm: uid(cm) != uid(restored))


async def test_d_17_drift_in_another_namespace(lab: Lab) -> None:
    """An item is watched wherever it lives."""
    b = await lab.other_namespace("b")
    await lab.define(SPREAD)
    await lab.create("Spread", "s", {"spaces": [lab.namespace, b]})
    await lab.settled("Spread", "s")
    await lab.edit_cm("s", b, v="x")
    await lab.until_cm("s", lambda cm: cm["data"]["v"] == "1", b)


async def test_d_18_stranger_with_a_former_name(lab: Lab) -> None:
    """An object without our labels is nobody of ours."""
    await house(lab, "hall", "bath")
    await lab.edit("House", "h", rooms=["hall"])
    before = await lab.settled("House", "h")
    await lab.put_cm("h-bath", {"x": "y"})

    async def untouched() -> bool:
        stranger, live = await lab.cm("h-bath"), await lab.get("House", "h")
        return stranger is not None and not labels_of(stranger) and version(live) == version(before)

    await lab.stays(untouched)


async def test_d_19_size_limit(lab: Lab) -> None:
    """Nothing is created above the limit."""
    await lab.define("""
schema: {kind: Big, spec: {n: integer}}
resources:
- id: cells
  forEach: [{i: "${lists.range(schema.spec.n)}"}, {j: "${lists.range(34)}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-${string(i)}-${string(j)}"}}
""")
    await lab.create("Big", "b", {"n": 34})
    text = "collection size of 1156 is over the maximum collection size of 1000"
    await lab.says("Big", "b", text, state="ERROR")
    assert await lab.cms() == {}
    await lab.edit("Big", "b", n=1)
    await lab.settled("Big", "b")
    await lab.edit("Big", "b", n=34)
    await lab.says("Big", "b", text, state="ERROR")
    await lab.delete("Big", "b")
    await lab.gone("Big", "b")
    assert await lab.cms() == {}


async def test_d_20_duplicate_identities(lab: Lab) -> None:
    """Nothing is created, changed or pruned while two items are one object."""
    await house(lab, "hall", "bath")
    await lab.edit("House", "h", rooms=["hall", "hall"])
    await lab.says("House", "h", "identity collision", state="ERROR")
    assert sorted(await lab.cms()) == ["h-bath", "h-hall"]


async def test_d_21_one_bad_item(lab: Lab) -> None:
    """Its siblings are there, its index is named, and nothing is pruned meanwhile."""
    b, c = await lab.other_namespace("b"), await lab.other_namespace("c")
    await lab.define(SPREAD)
    await lab.create("Spread", "s", {"spaces": [lab.namespace, b, c]})
    await lab.settled("Spread", "s")
    nowhere = lab.namespace + "-nowhere"
    await lab.edit("Spread", "s", spaces=[lab.namespace, nowhere, b])
    await lab.says("Spread", "s", "collection item 1:", nowhere, state="ERROR")
    assert await lab.cm("s", c)
    await lab.edit("Spread", "s", spaces=[lab.namespace, b])
    await lab.settled("Spread", "s")
    assert await lab.cm("s", c) is None


async def test_d_22_for_each_over_what_is_not_there(lab: Lab) -> None:
    """A missing field of another resource is a wait."""
    await lab.define("""
schema: {kind: Late, spec: {}}
resources:
- id: src
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}}
- id: parts
  forEach: [{p: "${src.status.handle.split(',')}"}]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${p}"}}
""")
    await lab.create("Late", "l")
    await lab.says("Late", "l", "no such key", "data pending", state="IN_PROGRESS")
    await lab.kube.until(WIDGETS, "l", bool, lab.namespace)
    await lab.widget("l", handle="a,b")
    await lab.settled("Late", "l")
    assert sorted(await lab.cms()) == ["a", "b"]
