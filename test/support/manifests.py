"""Builders of definitions and instances, each test with a kind and a namespace of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Any

from kro.refs import GVR
from kro.schema import plural
from support.kube import Json

_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    """Return a name that no other test of this machine uses at the same time."""
    return f"{prefix}{os.getpid()}x{next(_numbers)}"


def definition(
    kind: str,
    resources: Sequence[Mapping[str, Any]],
    *,
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    name: str = "",
    **schema: Any,
) -> Json:
    """Return a definition of that kind."""
    return {
        "apiVersion": "kro.run/v1alpha1",
        "kind": "ResourceGraphDefinition",
        "metadata": {"name": name or kind.lower()},
        "spec": {
            "schema": {
                "apiVersion": "v1alpha1",
                "kind": kind,
                "spec": dict(spec or {}),
                **({"status": dict(status)} if status else {}),
                **schema,
            },
            "resources": [dict(resource) for resource in resources],
        },
    }


def configmap(node: str, *, name: str, data: Mapping[str, str] | None = None, **more: Any) -> Json:
    """Return a resource whose template is a ConfigMap."""
    return {
        "id": node,
        "template": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name},
            "data": dict(data or {}),
        },
        **more,
    }


def instance(kind: str, name: str, namespace: str, spec: Mapping[str, Any] | None = None) -> Json:
    """Return an instance of a generated kind."""
    return {
        "apiVersion": "kro.run/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec or {}),
    }


def endpoint(kind: str) -> GVR:
    """Return where a generated kind is served."""
    return GVR("kro.run", "v1alpha1", plural(kind))


def chain(kind: str, length: int) -> Json:
    """Return a definition of ConfigMaps where each reads the one before."""
    first = configmap("n0", name="${schema.metadata.name}-0", data={"v": "${schema.spec.v}"})
    rest = [
        configmap(
            f"n{i}", name=f"${{schema.metadata.name}}-{i}", data={"v": f"${{n{i - 1}.data.v}}"}
        )
        for i in range(1, length)
    ]
    return definition(kind, [first, *rest], spec={"v": "string"})
