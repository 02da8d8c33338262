# ruff: noqa: E501 - definitions stand here as authors write them
"""Scenarios J without omit: free-form data, nested graphs, null.

Source: spec instance-runtime.md §10.J.
"""

from __future__ import annotations

from typing import Any

from support.kube import DEFINITIONS, condition
from support.lab import WIDGETS, Lab


async def test_j_04_omit_without_its_gate(lab: Lab) -> None:
    """The definition is refused, and the message names the gate."""
    name = await lab.define(
        """
schema: {kind: Opt, spec: {extra: 'string | default=""'}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {extra: "${schema.spec.extra == '' ? omit() : schema.spec.extra}"}}
""",
        active=False,
    )
    refused = await lab.kube.until(
        DEFINITIONS, name, lambda obj: obj.get("status", {}).get("state") == "Inactive"
    )
    assert "CELOmitFunction" in condition(refused, "Ready")["message"]


async def test_j_05_free_form_sources(lab: Lab) -> None:
    """Known by name, optionally, or copied whole; a missing key is a wait."""
    await lab.define("""
schema: {kind: Free, spec: {deep: "boolean | default=false"}}
resources:
- id: src
  externalRef: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: src}}
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {v: "${src.spec.config.?a.?b.orValue('none')}"}}
- id: copy
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}-copy"}, spec: {config: "${src.spec.config}"}}
- id: missing
  includeWhen: ["${schema.spec.deep}"]
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}-m"}, data: {v: "${string(src.spec.config.missing)}"}}
""")
    config: dict[str, Any] = {"a": {"b": "yes"}, "list": [1, {"x": None}], "n": 2.5}
    await widget(lab, "src", config)
    await lab.create("Free", "f")
    await lab.settled("Free", "f")
    assert (await lab.until_cm("f"))["data"] == {"v": "yes"}
    copy = await lab.kube.get(WIDGETS, "f-copy", lab.namespace)
    assert copy is not None
    assert copy["spec"]["config"] == config
    await widget(lab, "src", {"other": "x"})
    await lab.until_cm("f", lambda cm: cm["data"]["v"] == "none")
    await lab.edit("Free", "f", deep=True)
    await lab.says("Free", "f", "no such key: missing", state="IN_PROGRESS")


async def widget(lab: Lab, name: str, config: Any) -> None:
    """Apply a widget as a user."""
    await lab.kube.apply(
        {
            "apiVersion": "lab.example.com/v1",
            "kind": "Widget",
            "metadata": {"name": name, "namespace": lab.namespace},
            "spec": {"config": config},
        },
        gvr=WIDGETS,
    )


async def test_j_06_arbitrary_objects_in_the_instance(lab: Lab) -> None:
    """A field of type object is read by path and copied whole."""
    await lab.define("""
schema: {kind: Arb, spec: {o: object}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {v: "${string(schema.spec.o.deep.n)}"}}
- id: w
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}, spec: {config: "${schema.spec.o}"}}
""")
    free = {"deep": {"n": 7, "list": [{"a": True}]}}
    await lab.create("Arb", "a", {"o": free})
    await lab.settled("Arb", "a")
    assert (await lab.until_cm("a"))["data"] == {"v": "7"}
    copy = await lab.kube.get(WIDGETS, "a", lab.namespace)
    assert copy is not None
    assert copy["spec"]["config"] == free


async def test_j_07_graph_that_embeds_another(lab: Lab) -> None:
    """The value of the inner instance's status arrives in the outer one's."""
    await lab.define("""
schema: {kind: First, spec: {v: string}, status: {value: "${cm.data.v}"}}
resources:
- id: cm
  template: {apiVersion: v1, kind: ConfigMap, metadata: {name: "${schema.metadata.name}"}, data: {v: "${schema.spec.v}"}}
""")
    await lab.define(f"""
schema: {{kind: Second, spec: {{v: string}}, status: {{value: "${{first.status.value}}"}}}}
resources:
- id: first
  template: {{apiVersion: {lab.group}/v1alpha1, kind: First, metadata: {{name: "${{schema.metadata.name}}"}}, spec: {{v: "${{schema.spec.v}}"}}}}
""")
    await lab.create("Second", "s", {"v": "one"})
    await lab.until("Second", "s", lambda obj: obj.get("status", {}).get("value") == "one")
    await lab.settled("Second", "s")
    await lab.settled("First", "s")
    await lab.edit("Second", "s", v="two")
    await lab.until("Second", "s", lambda obj: obj.get("status", {}).get("value") == "two")
    await lab.settled("Second", "s")


async def test_j_08_null_is_not_absence(lab: Lab) -> None:
    """An empty optional in a free-form place is written as null."""
    await lab.define("""
schema: {kind: Nil, spec: {extra: string}}
resources:
- id: w
  template: {apiVersion: lab.example.com/v1, kind: Widget, metadata: {name: "${schema.metadata.name}"}, spec: {config: {there: "1", extra: "${schema.spec.?extra}"}}}
""")
    await lab.create("Nil", "n")
    await lab.settled("Nil", "n")
    found = await lab.kube.get(WIDGETS, "n", lab.namespace)
    assert found is not None
    assert found["spec"]["config"] == {"there": "1", "extra": None}
