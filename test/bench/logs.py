"""How much is logged, by what happens, and what that comes to in an hour under load M.

Starts a control plane and a controller of its own, lets a crowd of instances be created, drift, be
changed and be deleted, and measures the log after each step. Load M is that of
`controller-runtime.md` §3.5: 3,000 instances with ten objects each, and 50 events of objects a
second. Assumed besides, for one hour: every instance is created, edited and deleted once, and each
hundredth one fails all the time. Ends with 1 above 24 MiB.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from bench.scale import prepare
from support.controlplane import CONTROLLER, ControlPlane
from support.crowd import Crowd, definition
from support.kube import WAIT_S, Kube
from support.lab import Lab
from support.operator import Operator

INSTANCES: Final = 3_000
EVENTS_A_SECOND: Final = 50
HOUR_S: Final = 3600
ATTEMPTS: Final = 17
"""Of a key that always fails, in its first hour: 200 ms doubling to 1000 s."""
FAILING: Final = INSTANCES // 100
LIMIT_MIB: Final = 24.0
_TALE: Final = """
schema: {kind: Tale, spec: {}}
resources:
- id: a
  template:
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: "${schema.metadata.name}"}
    data: {n: "${string(1 / (size(schema.metadata.name) - 1))}"}
"""


@dataclass(slots=True)
class Measured:
    """What one step wrote, and how many passes it took."""

    name: str
    instances: int
    bytes: int
    passes: float

    @property
    def by_pass(self) -> float:
        """Bytes a pass."""
        return self.bytes / self.passes if self.passes else 0.0

    @property
    def by_instance(self) -> float:
        """Bytes an instance."""
        return self.bytes / self.instances


class Steps:
    """Measures log and passes from step to step."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._size, self._passes = self._now()
        self.done: list[Measured] = []

    def _now(self) -> tuple[int, float]:
        passes = 0.0
        for family in text_string_to_metric_families(self._operator.metrics()):
            if family.name in ("dynamic_controller_reconcile", "controller_runtime_reconcile"):
                passes += sum(sample.value for sample in family.samples)
        return self._operator.log.stat().st_size, passes

    async def step(self, name: str, instances: int, work: Awaitable[object]) -> Measured:
        """Do it and return what it wrote."""
        await work
        size, passes = await asyncio.to_thread(self._now)
        measured = Measured(name, instances, size - self._size, passes - self._passes)
        self._size, self._passes = size, passes
        self.done.append(measured)
        print(
            f"{name:20} {measured.bytes:9,d} bytes, {measured.passes:7.0f} passes:"
            f" {measured.by_pass:7.1f} a pass, {measured.by_instance:7.1f} an instance",
            flush=True,
        )
        return measured


async def measure(count: int, kube: Kube, operator: Operator) -> float:
    """Run the steps and return the MiB of an hour under load M."""
    lab = await Lab.opened(kube)
    await lab.define(definition("one"))
    steps, crowd = Steps(operator), Crowd(lab, count)
    created = await steps.step("created", count, crowd.create())
    drifted = await steps.step("drifted", count, drift(lab))
    edited = await steps.step("edited", count, crowd.edit("two"))
    deleted = await steps.step("deleted", count, crowd.delete())
    await lab.close()
    hour = {
        "created, once each": INSTANCES * created.by_instance,
        "edited, once each": INSTANCES * edited.by_instance,
        "deleted, once each": INSTANCES * deleted.by_instance,
        f"{EVENTS_A_SECOND} events a second": EVENTS_A_SECOND * HOUR_S * drifted.by_pass,
        f"{FAILING} that always fail": FAILING * ATTEMPTS * await failure_bytes(kube, operator),
    }
    for name, size in hour.items():
        print(f"{name:24} {size / 2**20:8.2f} MiB an hour")
    return sum(hour.values()) / 2**20


async def drift(lab: Lab) -> None:
    """Change a child of every instance by hand, and wait until all are put back."""
    children = await lab.cms()
    names = sorted(children)

    def is_back(obj: dict[str, object]) -> bool:
        data = obj.get("data")
        return not (isinstance(data, dict) and "drifted" in data.values())

    for start in range(0, len(names), 50):
        some = [name for name in names[start : start + 50] if children[name].get("data")]
        keys = {name: next(iter(children[name]["data"])) for name in some}
        await asyncio.gather(*(lab.edit_cm(name, **{keys[name]: "drifted"}) for name in some))
        for name in some:
            await lab.until_cm(name, is_back)


async def failure_bytes(kube: Kube, operator: Operator) -> float:
    """Return how much one failed pass writes: one whose expression cannot work with the data."""
    lab = await Lab.opened(kube)
    await lab.define(_TALE)
    before = operator.log.stat().st_size
    await lab.create("Tale", "x")
    await lab.says("Tale", "x", "zero")
    lines: list[str] = []
    async with asyncio.timeout(WAIT_S):
        while not lines:
            await asyncio.sleep(0.05)  # the line comes after the status
            text = operator.log.read_bytes()[before:].decode()
            lines = [line for line in text.splitlines() if "pass failed" in line]
    await lab.close()
    return sum(len(line) + 1 for line in lines) / len(lines)


async def run(count: int, plane: ControlPlane, log: Path, level: str) -> float:
    """Start a controller as the chart does and measure it."""
    flags = ["--zap-devel=false", f"--zap-log-level={level}"]
    async with Kube(plane.kubeconfig) as kube:
        await prepare(kube)
        with Operator(plane.kubeconfig_of(CONTROLLER.name), log, flags=flags) as operator:
            await operator.ready()
            return await measure(count, kube, operator)


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(prog="hack/bench logs", description=__doc__)
    parser.add_argument("--instances", type=int, default=100)
    parser.add_argument("--level", default="info", help="as --zap-log-level")
    arguments = parser.parse_args()
    plane = ControlPlane(f"kro-logs-{os.getpid()}")
    plane.up(
        say=lambda text: print(text, file=sys.stderr), users=[CONTROLLER], dies_with=os.getpid()
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "controller.log"
            hour = asyncio.run(run(arguments.instances, plane, log, arguments.level))
            print(log.read_text()[:2000], file=sys.stderr)
    finally:
        plane.down()
    print(f"in all {hour:.2f} MiB an hour at level {arguments.level}; {LIMIT_MIB:g} are allowed")
    return 1 if arguments.level == "info" and hour > LIMIT_MIB else 0


if __name__ == "__main__":
    sys.exit(main())
