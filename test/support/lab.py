"""The stage of instance tests: a namespace and an API group of their own on the shared cluster.

Texts of definitions are the content of `.spec`, as YAML. Every test has its own group, so kinds may
have plain names, and its own namespaces, so children may too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from kro import names
from kro.refs import GVR
from kro.runtime.client import StatusError
from kro.schema import plural
from support.kube import (
    CONFIGMAPS,
    CRDS,
    DEFINITIONS,
    WAIT_S,
    Json,
    Kube,
    condition,
    is_ready,
)
from support.manifests import unique

WIDGETS = GVR("lab.example.com", "v1", "widgets")
HOLD = "lab.example.com/hold"
WIDGET_CRD = yaml.safe_load("""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.lab.example.com}
spec:
  group: lab.example.com
  scope: Namespaced
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer}
              feed: {type: string}
              config: {type: object, x-kubernetes-preserve-unknown-fields: true}
          status:
            type: object
            properties:
              phase: {type: string}
              handle: {type: string}
              enabled: {type: boolean}
""")

POLICIES = GVR("admissionregistration.k8s.io", "v1", "validatingadmissionpolicies")
BINDINGS = GVR("admissionregistration.k8s.io", "v1", "validatingadmissionpolicybindings")


class Lab:
    """Definitions and instances of one test."""

    def __init__(self, kube: Kube, number: str) -> None:
        self.kube = kube
        self.group = f"{number}.lab.kro.run"
        self.namespace = f"{number}-a"
        self._number = number
        self._kinds: dict[str, GVR] = {}
        self._definitions: list[str] = []

    @classmethod
    async def opened(cls, kube: Kube) -> Lab:
        """Return a lab whose namespace exists and in which widgets are served."""
        lab = cls(kube, unique("lab"))
        await kube.namespace(lab.namespace)
        await kube.apply(WIDGET_CRD, gvr=CRDS)
        await kube.until(CRDS, "widgets.lab.example.com", is_established)
        return lab

    async def other_namespace(self, letter: str) -> str:
        """Return another namespace of the test, which exists then."""
        return await self.kube.namespace(f"{self._number}-{letter}")

    # definitions

    async def define(self, text: str, *, name: str = "", active: bool = True) -> str:
        """Apply a definition and return its name; with `active`, wait until it serves its kind."""
        spec = yaml.safe_load(text)
        spec["schema"].setdefault("apiVersion", "v1alpha1")
        spec["schema"].setdefault("group", self.group)
        kind = str(spec["schema"]["kind"])
        self._kinds[kind] = GVR(spec["schema"]["group"], "v1alpha1", plural(kind))
        name = name or f"{kind.lower()}-{self._number}"
        if name not in self._definitions:
            self._definitions.append(name)
        manifest = {
            "apiVersion": "kro.run/v1alpha1",
            "kind": "ResourceGraphDefinition",
            "metadata": {"name": name},
            "spec": spec,
        }
        await self.kube.apply(manifest, gvr=DEFINITIONS)
        if active:
            await self.kube.until(DEFINITIONS, name, is_served)
        return name

    async def close(self) -> None:
        """Delete the definitions; what their instances left is left."""
        for name in self._definitions:
            await self.kube.delete(DEFINITIONS, name)

    def know(self, kind: str, gvr: GVR) -> None:
        """Take note of a kind that is served without a definition."""
        self._kinds[kind] = gvr

    def gvr(self, kind: str) -> GVR:
        """Return where a kind of this test is served."""
        return self._kinds[kind]

    # instances

    async def create(
        self, kind: str, name: str, spec: Mapping[str, Any] | None = None, **metadata: Any
    ) -> Json:
        """Apply an instance; `namespace=None` makes it cluster-scoped."""
        place = {"namespace": self.namespace, **metadata}
        manifest = {
            "apiVersion": f"{self.group}/v1alpha1",
            "kind": kind,
            "metadata": {"name": name, **{k: v for k, v in place.items() if v is not None}},
            "spec": dict(spec or {}),
        }
        return await self.kube.apply(manifest, gvr=self.gvr(kind))

    async def edit(self, kind: str, name: str, /, **spec: Any) -> Json:
        """Change fields of the spec."""
        return await self.kube.merge(self.gvr(kind), name, {"spec": spec}, self.namespace)

    async def suspend(self, kind: str, name: str, word: str | None = "suspended") -> Json:
        """Set the annotation that suspends; None removes it."""
        patch = {"metadata": {"annotations": {names.RECONCILE: word}}}
        return await self.kube.merge(self.gvr(kind), name, patch, self.namespace)

    async def delete(self, kind: str, name: str) -> None:
        """Ask for an instance's deletion."""
        await self.kube.delete(self.gvr(kind), name, self.namespace)

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Json:
        """Return an instance that is there."""
        place = self.namespace if namespace is None else namespace
        found = await self.kube.get(self.gvr(kind), name, place)
        assert found is not None
        return found

    async def until(
        self, kind: str, name: str, holds: Callable[[Json], object], namespace: str | None = None
    ) -> Json:
        """Wait until something holds of an instance."""
        place = self.namespace if namespace is None else namespace
        return await self.kube.until(self.gvr(kind), name, holds, place)

    async def settled(self, kind: str, name: str, namespace: str | None = None) -> Json:
        """Wait until an instance is ACTIVE and Ready for its generation."""
        return await self.until(kind, name, is_settled, namespace)

    async def gone(self, kind: str, name: str) -> None:
        """Wait until an instance is gone."""
        await self.kube.until_gone(self.gvr(kind), name, self.namespace)

    async def says(self, kind: str, name: str, *fragments: str, state: str = "") -> Json:
        """Wait until the message of Ready holds every fragment, in the given state."""

        def holds(obj: Json) -> bool:
            message = str(condition(obj, "Ready").get("message"))
            right = not state or obj["status"].get("state") == state
            current = (
                condition(obj, "Ready").get("observedGeneration") == (obj["metadata"]["generation"])
            )
            return right and current and all(fragment in message for fragment in fragments)

        return await self.until(kind, name, lambda obj: "status" in obj and holds(obj))

    # objects

    async def cm(self, name: str, namespace: str = "") -> Json | None:
        """Return a config map, or None."""
        return await self.kube.get(CONFIGMAPS, name, namespace or self.namespace)

    async def until_cm(
        self, name: str, holds: Callable[[Json], object] = bool, namespace: str = ""
    ) -> Json:
        """Wait until something holds of a config map."""
        return await self.kube.until(CONFIGMAPS, name, holds, namespace or self.namespace)

    async def gone_cm(self, name: str, namespace: str = "") -> None:
        """Wait until a config map is gone."""
        await self.kube.until_gone(CONFIGMAPS, name, namespace or self.namespace)

    async def put_cm(
        self, name: str, data: Mapping[str, str], namespace: str = "", **metadata: Any
    ) -> Json:
        """Apply a config map as a user."""
        return await self.kube.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": name,
                    "namespace": namespace or self.namespace,
                    **metadata,
                },
                "data": dict(data),
            },
            gvr=CONFIGMAPS,
        )

    async def edit_cm(self, name: str, namespace: str = "", **data: str | None) -> Json:
        """Change data of a config map as a user would by hand."""
        place = namespace or self.namespace
        return await self.kube.merge(CONFIGMAPS, name, {"data": data}, place)

    async def cms(self, namespace: str = "", **labels: str) -> dict[str, Json]:
        """Return the config maps of a namespace that kro owns, by name."""
        page = await self.kube.client.list(
            CONFIGMAPS, namespace=namespace or self.namespace, label_selector=f"{names.OWNED}=true"
        )
        items: list[Any] = list(page.items)
        return {item["metadata"]["name"]: item for item in items}

    async def widget(self, name: str, **status: Any) -> Json:
        """Wait for a widget and set fields of its status; None removes one."""
        await self.kube.until(WIDGETS, name, bool, self.namespace)
        return await self.kube.merge(
            WIDGETS, name, {"status": status}, self.namespace, subresource="status"
        )

    async def hold(self, gvr: GVR, name: str) -> None:
        """Keep an object from vanishing when it is deleted."""
        patch = {"metadata": {"finalizers": [HOLD]}}
        await self.kube.merge(gvr, name, patch, self.namespace)

    async def let_go(self, gvr: GVR, name: str) -> None:
        """Let a held object vanish."""
        found = await self.kube.get(gvr, name, self.namespace)
        if found is not None:
            kept = [f for f in found["metadata"].get("finalizers", []) if f != HOLD]
            await self.kube.merge(gvr, name, {"metadata": {"finalizers": kept}}, self.namespace)

    # admission

    async def deny(self, name: str, *, suffix: str, text: str) -> None:
        """Deny writes of config maps with such names in the namespace; it is in force then."""
        rule = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["configmaps"],
        }
        expression = f"!object.metadata.name.endsWith('{suffix}')"
        await self._admission(
            "ValidatingAdmissionPolicy",
            name,
            POLICIES,
            failurePolicy="Fail",
            matchConstraints={"resourceRules": [rule]},
            validations=[{"expression": expression, "message": text}],
        )
        here = {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}
        await self._admission(
            "ValidatingAdmissionPolicyBinding",
            name,
            BINDINGS,
            policyName=name,
            validationActions=["Deny"],
            matchResources={"namespaceSelector": here},
        )
        end = time.monotonic() + WAIT_S
        while await self.may_write(f"probe{suffix}"):
            assert time.monotonic() < end
            await asyncio.sleep(0.1)  # the API server takes policies up in the background

    async def allow(self, name: str) -> None:
        """Take a denial back."""
        await self.kube.delete(BINDINGS, name)
        await self.kube.delete(POLICIES, name)

    async def _admission(self, kind: str, name: str, gvr: GVR, **spec: Any) -> None:
        manifest = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        await self.kube.apply(manifest, gvr=gvr)

    async def may_write(self, name: str) -> bool:
        """Try to write a config map; return whether the API server let it be."""
        try:
            await self.put_cm(name, {"at": str(time.monotonic())})
        except StatusError:
            return False
        return True

    async def stays(
        self, holds: Callable[[], Any], *, seconds: float = 1.5, every: float = 0.15
    ) -> None:
        """Hold that something is true now and for a while, longer than any reaction takes."""
        end = time.monotonic() + seconds
        while True:
            assert await holds()
            if time.monotonic() >= end:
                return
            await asyncio.sleep(every)

    async def absent_cm(self, name: str) -> None:
        """Hold that a config map is not there, and does not come."""

        async def missing() -> bool:
            return await self.cm(name) is None

        await self.stays(missing)


def is_served(definition: Json) -> bool:
    """Whether a definition is Active and Ready for what it says now."""
    return (
        definition.get("status", {}).get("state") == "Active"
        and condition(definition, "Ready").get("status") == "True"
        and condition(definition, "Ready").get("observedGeneration")
        == definition["metadata"]["generation"]
    )


def is_settled(obj: Json) -> bool:
    """Whether an instance is ACTIVE and Ready for its generation."""
    return obj.get("status", {}).get("state") == "ACTIVE" and is_ready(obj)


def state(obj: Json) -> str:
    """Return `status.state`."""
    return str(obj.get("status", {}).get("state", ""))


def message(obj: Json) -> str:
    """Return the message of condition Ready."""
    return str(condition(obj, "Ready").get("message", ""))


def uid(obj: Json) -> str:
    """Return the object's uid."""
    return str(obj["metadata"]["uid"])


def version(obj: Json) -> str:
    """Return the object's resourceVersion."""
    return str(obj["metadata"]["resourceVersion"])


def annotations_of(obj: Json) -> dict[str, str]:
    """Return the object's annotations."""
    return dict(obj["metadata"].get("annotations", {}))


def labels_of(obj: Json) -> dict[str, str]:
    """Return the object's labels."""
    return dict(obj["metadata"].get("labels", {}))


def group_kinds(obj: Json) -> str:
    """Return the kinds that an instance's inventory records."""
    return annotations_of(obj)[names.APPLYSET_GROUP_KINDS]


def namespaces(obj: Json) -> str:
    """Return the namespaces that an instance's inventory records."""
    return annotations_of(obj)[names.APPLYSET_NAMESPACES]


def is_established(crd: Json) -> bool:
    """Whether a CRD is served."""
    return any(
        entry["type"] == "Established" and entry["status"] == "True"
        for entry in crd.get("status", {}).get("conditions") or ()
    )
