"""What a user of the soak does to the cluster, and what must come of it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

from kro import names
from kro.refs import GVR
from support.kube import CONFIGMAPS, DEFINITIONS, Json, Kube, is_ready

SOAKS: Final = GVR(names.KRO_GROUP, "v1alpha1", "soaks")
NAMESPACE: Final = "soak"

DEFINITION: Final[Json] = {
    "apiVersion": "kro.run/v1alpha1",
    "kind": "ResourceGraphDefinition",
    "metadata": {"name": "soaks"},
    "spec": {
        "schema": {
            "apiVersion": "v1alpha1",
            "kind": "Soak",
            "spec": {"value": "string", "more": "boolean | default=false"},
            "status": {"value": "${third.data.value}"},
        },
        "resources": [
            {
                "id": "first",
                "template": {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "${schema.metadata.name}-first"},
                    "data": {"value": "${schema.spec.value}"},
                },
            },
            {
                "id": "second",
                "includeWhen": ["${schema.spec.more}"],
                "template": {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "${schema.metadata.name}-second"},
                    "data": {"first": "${first.metadata.name}"},
                },
            },
            {
                "id": "third",
                "template": {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "${schema.metadata.name}-third"},
                    "data": {"value": "${first.data.value}"},
                },
            },
        ],
    },
}


@dataclass(slots=True)
class Wanted:
    """One instance as its user wants it."""

    value: str
    more: bool

    def children(self, name: str) -> dict[str, dict[str, str]]:
        """Return the data of each child, by its name."""
        found = {f"{name}-first": {"value": self.value}, f"{name}-third": {"value": self.value}}
        if self.more:
            found[f"{name}-second"] = {"first": f"{name}-first"}
        return found


class User:
    """Creates, edits and deletes instances, and meddles with their children."""

    def __init__(self, kube: Kube, chance: random.Random, *, instances: int) -> None:
        self._kube, self._chance, self._instances = kube, chance, instances
        self.wanted: dict[str, Wanted] = {}
        self.actions = 0

    async def begin(self) -> None:
        """Make namespace and definition."""
        await self._kube.namespace(NAMESPACE)
        await self._kube.apply(DEFINITION, gvr=DEFINITIONS)
        await self._kube.until(DEFINITIONS, "soaks", is_ready)

    async def act(self) -> None:
        """Do one thing."""
        self.actions += 1
        name = f"soak-{self._chance.randrange(self._instances)}"
        match self._chance.randrange(10):
            case 0 if name in self.wanted:
                del self.wanted[name]
                await self._kube.delete(SOAKS, name, NAMESPACE)
            case 1 | 2 if name in self.wanted:
                child = self._chance.choice(sorted(self.wanted[name].children(name)))
                await self._kube.delete(CONFIGMAPS, child, NAMESPACE)
            case 3 if name in self.wanted:
                await self._spoil(f"{name}-first", {"data": {"value": "spoilt", "other": "x"}})
            case 4 if name in self.wanted:
                labels = {names.OWNED: None, names.NODE_ID: None}
                await self._spoil(f"{name}-third", {"metadata": {"labels": labels}})
            case _:
                wanted = Wanted(f"v{self.actions}", self._chance.random() < 0.5)
                self.wanted[name] = wanted
                await self._apply(name, wanted)

    async def insist(self) -> None:
        """Say again what is wanted: the API server may have been away when it was said."""
        for name, wanted in self.wanted.items():
            await self._apply(name, wanted)
        for at in range(self._instances):
            if f"soak-{at}" not in self.wanted:
                await self._kube.delete(SOAKS, f"soak-{at}", NAMESPACE)

    async def _apply(self, name: str, wanted: Wanted) -> None:
        await self._kube.apply(
            {
                "apiVersion": "kro.run/v1alpha1",
                "kind": "Soak",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {"value": wanted.value, "more": wanted.more},
            },
            gvr=SOAKS,
        )

    async def _spoil(self, child: str, patch: Json) -> None:
        if await self._kube.get(CONFIGMAPS, child, NAMESPACE) is not None:
            await self._kube.merge(CONFIGMAPS, child, patch, NAMESPACE)

    async def differences(self) -> list[str]:
        """Return what is not as it must be (I-02, I-03): empty when all is well."""
        instances = await self._read(SOAKS)
        children = await self._read(CONFIGMAPS)
        found: list[str] = []
        expected: dict[str, dict[str, str]] = {}
        for name, wanted in self.wanted.items():
            expected |= wanted.children(name)
            instance = instances.pop(name, None)
            if instance is None:
                found.append(f"instance {name} is missing")
            elif not is_ready(instance):
                found.append(f"instance {name} is not Ready: {_why(instance)}")
            elif instance.get("status", {}).get("value") != wanted.value:
                found.append(f"instance {name} shows another value")
        found += [f"instance {name} is still there" for name in instances]
        for name, data in expected.items():
            child = children.pop(name, None)
            # A key that somebody else added is theirs: server-side apply leaves it.
            held = {} if child is None else child.get("data", {})
            if child is None:
                found.append(f"child {name} is missing")
            elif {key: held.get(key) for key in data} != data:
                found.append(f"child {name} holds {held}")
            elif child["metadata"].get("labels", {}).get(names.OWNED) != "true":
                found.append(f"child {name} has lost its labels")
        found += [f"child {name} is an orphan" for name in children]
        return found

    async def _read(self, gvr: GVR) -> dict[str, Json]:
        page = await self._kube.client.list_all(gvr, namespace=NAMESPACE)
        objects: list[Any] = list(page.items)
        return {
            obj["metadata"]["name"]: obj
            for obj in objects
            if obj["metadata"]["name"] != "kube-root-ca.crt"
        }


def _why(instance: Json) -> str:
    conditions = instance.get("status", {}).get("conditions", [])
    return "; ".join(
        f"{each['type']}={each['status']} {each.get('reason', '')} {each.get('message', '')}"
        for each in conditions
        if each["status"] != "True"
    )
