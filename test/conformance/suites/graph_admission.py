"""What the ResourceGraphDefinition's own CRD accepts, on a real API server.

`KRO_KUBECONFIG` names a cluster to use, which then gets kro's CRDs; without it a control plane is
brought up for the run.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from conformance.suite import Case, Mismatch
from kro.refs import GVR, JsonObject, NamespacedName
from kro.runtime.client import (
    BadRequestError,
    Client,
    InvalidError,
    NotFoundError,
    StatusError,
    Transport,
    load_config,
)

SUITE = "graph-admission"
FILE = "graph-admission.yaml"

ROOT = Path(__file__).parents[3]
CRDS = GVR("apiextensions.k8s.io", "v1", "customresourcedefinitions")
DEFINITIONS = GVR("kro.run", "v1alpha1", "resourcegraphdefinitions")
MANAGER = "kro-conformance"


def load(document: Any) -> Iterable[Case]:
    """Return the cases of the file."""
    return [Case(entry["name"], entry) for entry in document]


def run(case: Case) -> None:
    """Write the object of a case and compare what the API server says."""
    runner, client = _server()
    expect = case.data["expect"]
    refusal = runner.run(_write(client, case.data))
    if expect.get("accepted"):
        if refusal:
            raise Mismatch(f"refused: {refusal}")
    elif not refusal:
        raise Mismatch(f"accepted; the refusal should contain {expect['error_contains']!r}")
    elif expect["error_contains"] not in refusal:
        raise Mismatch(f"{expect['error_contains']!r} is not in: {refusal}")


async def _write(client: Client, data: Any) -> str:
    """Return why the API server refuses the new object, or an empty text."""
    name = f"conformance-{uuid4().hex[:12]}"
    new = _named(data["new"], name)
    try:
        if "old" not in data:
            await client.create(DEFINITIONS, new, dry_run=True)
            return ""
        old = await client.create(DEFINITIONS, _named(data["old"], name))
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]  # type: ignore[index,call-overload]
        await client.update(DEFINITIONS, NamespacedName("", name), new, dry_run=True)
    except (InvalidError, BadRequestError) as error:
        return str(error)
    finally:
        if "old" in data:
            await client.delete(DEFINITIONS, NamespacedName("", name))
    return ""


def _named(manifest: Any, name: str) -> Any:
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}}


@cache
def _server() -> tuple[asyncio.Runner, Client]:
    """Return a client of an API server that serves kro's CRDs, and the loop it lives on."""
    kubeconfig = os.environ.get("KRO_KUBECONFIG") or str(_control_plane())
    runner = asyncio.Runner()
    runner.get_loop()
    client = runner.run(_connected(kubeconfig))
    atexit.register(runner.close)
    atexit.register(lambda: runner.run(client.aclose()))
    return runner, client


def _control_plane() -> Path:
    sys.path.insert(0, str(ROOT / "test"))
    from support.controlplane import ControlPlane

    plane = ControlPlane(f"conformance-{os.getpid()}")
    plane.up(say=lambda text: print(text, file=sys.stderr), dies_with=os.getpid())
    atexit.register(plane.down)
    return plane.kubeconfig


async def _connected(kubeconfig: str) -> Client:
    client = Client(Transport(load_config(kubeconfig), user_agent="kro/conformance"))
    for file in sorted((ROOT / "config" / "crd").glob("*.yaml")):
        crd: JsonObject = yaml.safe_load(file.read_text())
        name = NamespacedName("", crd["metadata"]["name"])  # type: ignore[index,call-overload,arg-type]
        await client.apply(CRDS, name, crd, field_manager=MANAGER)
    deadline = time.monotonic() + 30
    while True:
        try:
            await client.list(DEFINITIONS, limit=1)
        except (NotFoundError, StatusError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return client
