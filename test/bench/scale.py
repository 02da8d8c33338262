"""What a thousand instances cost: a burst, a changed definition, the end of all of them.

Starts a control plane and a controller of its own. In the middle of the burst an instance of
another kind is created. Ends with 1 when an instance was in error, a pass failed, or the memory is
above what `controller-runtime.md` §3.5 allows; times are shown and judged by nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path

import yaml

from support.audit import AuditLog
from support.controlplane import CONTROLLER, ControlPlane
from support.crowd import CHILDREN, SOLO, Crowd, definition
from support.kube import CRDS, Kube
from support.lab import Lab, is_established
from support.operator import ROOT, Operator

LIMIT_MIB = {1_000: 120.0, 30_000: 200.0, 100_000: 400.0}
"""Resident memory by managed objects, rows S, M and L of the targets."""


def allowed_mib(objects: int) -> float:
    """Return the memory that so many managed objects may take: between two rows, in proportion."""
    rows = sorted(LIMIT_MIB.items())
    for (fewer, low), (more, high) in itertools.pairwise(rows):
        if objects <= more:
            share = max(objects - fewer, 0) / (more - fewer)
            return low + share * (high - low)
    return rows[-1][1]


class Process:
    """CPU and memory of the controller."""

    def __init__(self, operator: Operator) -> None:
        self._folder = Path("/proc") / str(operator.pid)
        self._tick = os.sysconf("SC_CLK_TCK")

    def cpu_s(self) -> float:
        """Return the CPU time so far."""
        fields = (self._folder / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / self._tick

    def mib(self, field: str) -> float:
        """Return a field of the memory status: `VmRSS` now, `VmHWM` at its highest."""
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
        raise LookupError(field)


async def prepare(kube: Kube) -> None:
    """Install kro's own CRDs."""
    for file in sorted((ROOT / "config" / "crd").glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            await kube.apply(manifest, gvr=CRDS)
            await kube.until(CRDS, manifest["metadata"]["name"], is_established)


async def measure(count: int, kube: Kube, process: Process, audit: AuditLog) -> list[str]:
    """Run the scenario and print its figures; return what was wrong."""
    lab = await Lab.opened(kube)
    await lab.define(definition("one"))
    await lab.define(SOLO)
    print(f"idle: {process.mib('VmRSS'):.0f} MiB")
    crowd = Crowd(lab, count)
    solo: list[float] = []

    async def meanwhile() -> None:
        solo.append(await crowd.solo())

    async def step(name: str, work: Awaitable[float]) -> None:
        audit.requests()
        before_s = process.cpu_s()
        took_s = await work
        cpu_ms = (process.cpu_s() - before_s) * 1000 / count
        requests = audit.requests()
        refused = sum(1 for each in requests if each.code >= 400)
        print(
            f"{name:26} {took_s:6.2f} s, each {cpu_ms:5.2f} ms CPU and"
            f" {len(requests) / count:5.2f} requests; {refused} refused;"
            f" {process.mib('VmRSS'):.0f} MiB",
            flush=True,
        )

    await step("all created and Ready", crowd.create(halfway=meanwhile))
    print(f"  one of another kind, in the middle of it, was Ready after {solo[0]:.3f} s")
    settled = process.mib("VmRSS")
    await step("all on another definition", crowd.edit("two"))
    await step("all deleted", crowd.delete())
    print(f"highest: {process.mib('VmHWM'):.0f} MiB")
    await lab.close()
    limit = allowed_mib(count * CHILDREN)
    too_much = [f"{settled:.0f} MiB, {limit:.0f} are allowed"] if settled > limit else []
    return [*crowd.errors, *too_much]


async def run(count: int, plane: ControlPlane, log: Path) -> list[str]:
    """Start a controller and measure it; return what was wrong."""
    async with Kube(plane.kubeconfig) as kube:
        await prepare(kube)
        with Operator(plane.kubeconfig_of(CONTROLLER.name), log) as operator:
            await operator.ready()
            audit = AuditLog(plane.audit_log, user=CONTROLLER.name)
            return await measure(count, kube, Process(operator), audit)


def main() -> int:
    """Run the scenario; return the exit code."""
    parser = argparse.ArgumentParser(prog="hack/bench scale", description=__doc__)
    parser.add_argument("--instances", type=int, default=1000)
    arguments = parser.parse_args()
    plane = ControlPlane(f"kro-scale-{os.getpid()}")
    plane.up(
        say=lambda text: print(text, file=sys.stderr),
        audit=True,
        users=[CONTROLLER],
        dies_with=os.getpid(),
    )
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "controller.log"
            problems = asyncio.run(run(arguments.instances, plane, log))
            lines = log.read_text().splitlines()
    finally:
        plane.down()
    problems += [line for line in lines if "pass failed" in line or "Traceback" in line]
    for problem in problems[:10]:
        print(f"  {problem[:300]}")
    print(f"{len(problems)} problems, after {time.monotonic() - started:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
