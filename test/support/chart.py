"""The chart as helm renders it, and its container's command line as a kubelet would start it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.controlplane.binaries import TOOLS, find_tool
from support.kube import Json
from support.operator import ROOT

CHART = ROOT / "helm"
RELEASE, NAMESPACE = "kro", "kro-system"


class HelmError(Exception):
    """Helm refused; the message is what it said."""


class Helm:
    """The helm command, with or without a cluster."""

    def __init__(self, program: Path, kubeconfig: Path | None = None) -> None:
        self._command = [str(program)]
        if kubeconfig is not None:
            self._command.append(f"--kubeconfig={kubeconfig}")

    def __call__(self, *arguments: str, values: Mapping[str, Any] | None = None) -> str:
        """Run it, with these values, and return what it prints.

        Raises:
            HelmError: it failed.
        """
        given = ["--values=-"] if values is not None else []
        done = subprocess.run(
            [*self._command, *arguments, *given],
            input=json.dumps(values or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise HelmError(done.stderr)
        return done.stdout

    def render(
        self, values: Mapping[str, Any] | None = None, *, release: str = RELEASE
    ) -> list[Json]:
        """Return the objects of a release, without CRDs."""
        namespace = f"--namespace={NAMESPACE}"
        text = self("template", release, str(CHART), namespace, values=values or {})
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return [document for document in yaml.load_all(text, Loader=loader) if document]


def helm_program() -> Path:
    """Return the helm command; the test is skipped where there is none.

    hack/test and continuous integration get it before they begin.
    """
    found = find_tool(TOOLS["helm"])
    if found is None:
        pytest.skip("helm is not installed: hack/control-plane binaries helm")
    return found


def deployment_of(objects: Sequence[Json]) -> Json:
    """Return the one Deployment."""
    [found] = [manifest for manifest in objects if manifest["kind"] == "Deployment"]
    return found


def container_of(deployment: Json) -> Json:
    """Return its one container."""
    [found] = deployment["spec"]["template"]["spec"]["containers"]
    return dict(found)


def arguments_of(container: Json) -> list[str]:
    """Return the container's arguments with its variables filled in.

    Source: Kubernetes container arguments: `$(NAME)` stands for a variable, if there is one.
    """
    variables = {entry["name"]: entry.get("value", "") for entry in container.get("env", [])}
    return [
        re.sub(r"\$\((\w+)\)", lambda found: variables.get(found[1], found[0]), argument)
        for argument in container["args"]
    ]


def values_at(path: str, value: object) -> Json:
    """Return values in which only that one, `a.b.c`, is set."""
    *parents, last = path.split(".")
    values: Json = {last: value}
    for parent in reversed(parents):
        values = {parent: values}
    return values


def merged(*values: Mapping[str, Any]) -> Json:
    """Return values merged as helm merges them: the later ones win, maps are merged."""
    result: Json = {}
    for layer in values:
        for name, value in layer.items():
            present = result.get(name)
            both = isinstance(present, dict) and isinstance(value, dict)
            result[name] = merged(present or {}, value) if both else value
    return result
