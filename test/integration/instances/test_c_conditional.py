# ruff: noqa: E501 - definitions stand here as authors write them
"""Scenarios C: conditional resources.

Source: spec instance-runtime.md §10.C.
"""

from __future__ import annotations

import itertools

import pytest

from support.kube import DEPLOYMENTS, SECRETS, SERVICES
from support.lab import Lab, group_kinds, uid, version

EXTRAS = """
schema: {kind: Extras, spec: {web: "boolean | default=false"}, status: {w: "${web.metadata.name}"}}
resources:
- id: base
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-base"}, data: {v: "1"}}
- id: web
  includeWhen: ["${schema.spec.web}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-web"}, data: {b: "${base.metadata.name}"}}
- id: tail
  template: {apiVersion: v1, kind: Secret, metadata: {name: "${schema.metadata.name}-tail"}, stringData: {w: "${web.metadata.name}"}}
"""


async def test_c_01_excluded_nodes_are_skipped(lab: Lab) -> None:
    """Together with what reads them; the inventory does not name their kinds."""
    await lab.define(EXTRAS)
    await lab.create("Extras", "e", {"web": False})
    live = await lab.settled("Extras", "e")
    assert list(await lab.cms()) == ["e-base"]
    assert await lab.kube.get(SECRETS, "e-tail", lab.namespace) is None
    assert group_kinds(live) == "ConfigMap"


async def test_c_02_switching_on(lab: Lab) -> None:
    """The node and its dependents appear, and with them their kinds in the inventory."""
    await lab.define(EXTRAS)
    await lab.create("Extras", "e", {"web": False})
    await lab.settled("Extras", "e")
    await lab.edit("Extras", "e", web=True)
    await lab.kube.until(SECRETS, "e-tail", bool, lab.namespace)
    live = await lab.settled("Extras", "e")
    assert await lab.cm("e-web")
    assert group_kinds(live) == "ConfigMap,Secret"


async def test_c_03_switching_off(lab: Lab) -> None:
    """What is excluded is pruned, dependents included; the rest is not touched."""
    await lab.define(EXTRAS)
    await lab.create("Extras", "e", {"web": True})
    await lab.settled("Extras", "e")
    base = await lab.until_cm("e-base")
    await lab.edit("Extras", "e", web=False)
    await lab.gone_cm("e-web")
    await lab.kube.until_gone(SECRETS, "e-tail", lab.namespace)
    live = await lab.settled("Extras", "e")
    after = await lab.until_cm("e-base")
    assert (uid(after), version(after)) == (uid(base), version(base))
    assert group_kinds(live) == "ConfigMap"


FLAG = """
schema: {kind: Flag, spec: {"on": boolean}}
resources:
- id: flag
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-flag"}, data: {"on": "${string(schema.spec.on)}"}}
- id: lamp
  includeWhen: ["${flag.data.on == 'true'}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-lamp"}, data: {v: lit}}
- id: shade
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-shade"}, data: {l: "${lamp.metadata.name}"}}
"""


async def test_c_04_condition_on_another_resource(lab: Lab) -> None:
    """The flag is updated first; then what it decides comes and goes."""
    await lab.define(FLAG)
    await lab.create("Flag", "f", {"on": True})
    await lab.settled("Flag", "f")
    assert sorted(await lab.cms()) == ["f-flag", "f-lamp", "f-shade"]
    await lab.edit("Flag", "f", on=False)
    await lab.gone_cm("f-lamp")
    await lab.settled("Flag", "f")
    assert list(await lab.cms()) == ["f-flag"]


async def test_c_04_condition_on_another_resource_off_from_the_start(lab: Lab) -> None:
    """Only the flag exists, and the inventory names its kind alone."""
    await lab.define(FLAG)
    await lab.create("Flag", "f", {"on": False})
    live = await lab.settled("Flag", "f")
    assert list(await lab.cms()) == ["f-flag"]
    assert group_kinds(live) == "ConfigMap"


OPTION = """
schema: {kind: Option, spec: {}}
resources:
- id: src
  READY
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}}
- id: opt
  includeWhen: ["${src.status.enabled}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-opt"}, data: {v: "1"}}
"""


async def test_c_05_condition_on_a_late_status(lab: Lab) -> None:
    """Unknown is neither: nothing is created, nothing is pruned."""
    await lab.define(OPTION.replace("  READY\n", ""))
    await lab.create("Option", "o")
    await lab.says("Option", "o", "data pending", state="IN_PROGRESS")
    assert await lab.cm("o-opt") is None
    await lab.widget("o", enabled=True)
    await lab.until_cm("o-opt")
    await lab.settled("Option", "o")
    await lab.widget("o", enabled=False)
    await lab.gone_cm("o-opt")
    await lab.settled("Option", "o")
    await lab.widget("o", enabled=True)
    before = await lab.until_cm("o-opt")
    await lab.widget("o", enabled=None)
    await lab.says("Option", "o", "data pending", state="IN_PROGRESS")
    assert uid(await lab.until_cm("o-opt")) == uid(before)


async def test_c_06_condition_waits_for_readiness(lab: Lab) -> None:
    """What an object says before it is ready decides nothing."""
    ready = """readyWhen: ["${src.status.phase == 'open'}"]"""
    await lab.define(OPTION.replace("READY", ready))
    await lab.create("Option", "o")
    await lab.widget("o", enabled=True)
    await lab.says("Option", "o", 'waiting for node "src"', state="IN_PROGRESS")
    await lab.absent_cm("o-opt")
    await lab.widget("o", phase="open")
    await lab.until_cm("o-opt")
    await lab.settled("Option", "o")


async def test_c_07_condition_on_a_missing_spec_field(lab: Lab) -> None:
    """The spec will not change by waiting: an error, and no child at all."""
    await lab.define("""
schema: {kind: Mode, spec: {mode: string}}
resources:
- id: base
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-base"}, data: {v: "1"}}
- id: full
  includeWhen: ["${schema.spec.mode == 'full'}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-full"}, data: {v: "1"}}
""")
    await lab.create("Mode", "m")
    await lab.says("Mode", "m", "includeWhen", "no such key", state="ERROR")
    await lab.absent_cm("m-base")
    await lab.edit("Mode", "m", mode="full")
    await lab.settled("Mode", "m")


async def test_c_08_three_booleans(lab: Lab) -> None:
    """Every combination has exactly the selected kinds, and an inventory that says so."""
    await lab.define("""
schema: {kind: Three, spec: {d: boolean, s: boolean, c: boolean}}
resources:
- id: dep
  includeWhen: ["${schema.spec.d}"]
  template:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: "${schema.metadata.name}"}
    spec:
      selector: {matchLabels: {app: x}}
      template:
        metadata: {labels: {app: x}}
        spec: {containers: [{name: c, image: registry.k8s.io/pause:3.9}]}
- id: svc
  includeWhen: ["${schema.spec.s}"]
  template: {apiVersion: v1, kind: Service, metadata: {name: "${schema.metadata.name}"}, spec: {ports: [{port: 80}]}}
- id: cm
  includeWhen: ["${schema.spec.c}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {v: "1"}}
""")
    kinds = [("d", "Deployment.apps", DEPLOYMENTS), ("s", "Service", SERVICES)]
    for chosen in itertools.product([False, True], repeat=3):
        spec = dict(zip("dsc", chosen, strict=True))
        await lab.create("Three", "t", spec)
        live = await lab.settled("Three", "t")
        wanted = sorted(
            name
            for key, name in [("c", "ConfigMap"), ("d", "Deployment.apps"), ("s", "Service")]
            if spec[key]
        )
        assert group_kinds(live) == ",".join(wanted)
        for key, _, gvr in kinds:
            assert (await lab.kube.get(gvr, "t", lab.namespace) is not None) is spec[key]
        assert (await lab.cm("t") is not None) is spec["c"]


@pytest.mark.parametrize(
    ("a", "b", "there"),
    [(True, True, True), (True, False, False), (False, True, False)],
)
async def test_c_09_conditions_are_anded(lab: Lab, a: bool, b: bool, there: bool) -> None:
    """One false is enough to leave the node out."""
    await lab.define("""
schema: {kind: Anded, spec: {a: boolean, b: boolean}}
resources:
- id: cm
  includeWhen: ["${schema.spec.a}", "${schema.spec.?b}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {v: "1"}}
""")
    await lab.create("Anded", "x", {"a": a, "b": b})
    await lab.settled("Anded", "x")
    assert (await lab.cm("x") is not None) is there


async def test_c_09_null_is_false(lab: Lab) -> None:
    """An optional without a value leaves the node out."""
    await lab.define("""
schema: {kind: Anded, spec: {b: boolean}}
resources:
- id: cm
  includeWhen: ["${schema.spec.?b}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {v: "1"}}
""")
    await lab.create("Anded", "x")
    await lab.settled("Anded", "x")
    assert await lab.cm("x") is None


async def test_c_10_status_of_an_excluded_node(lab: Lab) -> None:
    """The field is there with its node and gone without it."""
    await lab.define(EXTRAS)
    await lab.create("Extras", "e", {"web": True})
    assert (await lab.settled("Extras", "e"))["status"]["w"] == "e-web"
    await lab.edit("Extras", "e", web=False)
    assert "w" not in (await lab.settled("Extras", "e"))["status"]
