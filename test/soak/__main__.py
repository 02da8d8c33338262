"""F-74: a random mix of the faults while a user works, with the invariants again and again.

    hack/soak --minutes N

The controller runs as a process of its own behind two proxies; user and checks pass them by. Every
minute or so the faults pause, and within the recovery time everything must be as a fault-free run
would have it. Ends with 1 at the first violation, and with the whole log kept.

Source: spec "Controller runtime" part 4.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from kro.runtime.client import ClientError
from soak.faults import Faults
from soak.world import User
from support.components import Components
from support.controlplane import ControlPlane
from support.http_proxy import HttpProxy
from support.kube import CRDS, Kube
from support.operator import ROOT, Operator
from support.tcp_proxy import TcpProxy

RECOVERY_S = 120.0
ROUND_S = 60.0
SUSPICIOUS = ("Traceback", "never retrieved", "was destroyed", "Unclosed", "InvariantError")


class Violation(Exception):
    """Something that must hold did not."""


async def soak(arguments: argparse.Namespace, plane: ControlPlane, folder: Path) -> None:
    """Work and strike until the time is over."""
    chance = random.Random(arguments.seed)
    config = yaml.safe_load(plane.kubeconfig.read_text())
    token = config["users"][0]["user"]["token"]
    server = config["clusters"][0]["cluster"]["server"]
    with HttpProxy(server, certificates=plane.folder / "certificates") as http:
        inner = urlsplit(http.url)
        async with TcpProxy(str(inner.hostname), int(inner.port or 0)) as tcp:
            config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{tcp.port}"
            kubeconfig = folder / "kubeconfig"
            kubeconfig.write_text(yaml.safe_dump(config))
            operator = Operator(kubeconfig, folder / "controller.log")
            components = Components(plane)
            async with Kube(plane.kubeconfig) as kube:
                await _install(kube)
                with operator:
                    await operator.ready()
                    user = User(kube, chance, instances=arguments.instances)
                    await user.begin()
                    faults = Faults(tcp, http, operator, components, chance)
                    await _rounds(arguments, user, faults, operator, chance)
            _check_log(operator.log, token)
            if any(faults.exits):
                raise Violation(f"orderly ends exited with {faults.exits}")


async def _rounds(
    arguments: argparse.Namespace,
    user: User,
    faults: Faults,
    operator: Operator,
    chance: random.Random,
) -> None:
    end = time.monotonic() + arguments.minutes * 60
    struck: Counter[str] = Counter()
    number = 0
    while time.monotonic() < end:
        number += 1
        pause = asyncio.Event()
        work = asyncio.create_task(_work(user, chance, pause))
        until = min(time.monotonic() + ROUND_S, end)
        while time.monotonic() < until:
            struck[await faults.strike()] += 1
            await asyncio.sleep(chance.uniform(1, 4))
        pause.set()
        await work
        took_s = await _recover(user)
        rss, handles = _resources(operator.pid)
        print(
            f"round {number}: {user.actions} actions, {sum(struck.values())} faults, "
            f"recovered in {took_s:.1f} s, {len(user.wanted)} instances, "
            f"{rss:.0f} MiB, {handles} handles",
            flush=True,
        )
    for name, count in sorted(struck.items()):
        print(f"  {count:4} x {name}")


async def _work(user: User, chance: random.Random, pause: asyncio.Event) -> None:
    """Do one thing after the other; what the API server refuses while it is away is tried again."""
    while not pause.is_set():
        try:
            await user.act()
        except ClientError:
            await asyncio.sleep(0.5)
        await asyncio.sleep(chance.uniform(0.02, 0.4))


async def _recover(user: User) -> float:
    """Wait until everything is as it must be, and stays so for three seconds (I-12)."""
    started = time.monotonic()
    found = ["not looked yet"]
    said = False
    while time.monotonic() - started < RECOVERY_S:
        try:
            if not said:
                started = time.monotonic()
            if not said or any(each.endswith("is missing") for each in found):
                # What is applied onto an instance that is still going, goes with it.
                await user.insist()
                said = True
            found = await user.differences()
            if not found:
                took_s = time.monotonic() - started
                await asyncio.sleep(3)
                found = await user.differences()
                if not found:
                    return took_s
        except ClientError as error:
            found = [f"the API server cannot be asked: {error}"]
        await asyncio.sleep(0.5)
    raise Violation(f"not recovered within {RECOVERY_S:.0f} s:\n  " + "\n  ".join(found[:20]))


def _resources(pid: int) -> tuple[float, int]:
    process = Path("/proc") / str(pid)
    pages = int((process / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, sum(1 for _ in (process / "fd").iterdir())


def _check_log(log: Path, token: str) -> None:
    """I-09, I-11: no token, and nothing that nobody expects."""
    text = log.read_text(errors="replace")
    if token in text:
        raise Violation("the controller's log holds its token")
    for word in SUSPICIOUS:
        if word in text:
            at = text.index(word)
            raise Violation(
                f"the controller's log says {word}:\n{text[max(at - 300, 0) : at + 1500]}"
            )


async def _install(kube: Kube) -> None:
    for file in sorted((ROOT / "config" / "crd").glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            await kube.apply(manifest, gvr=CRDS)
            await kube.until(
                CRDS,
                manifest["metadata"]["name"],
                lambda crd: any(
                    each["type"] == "Established" and each["status"] == "True"
                    for each in crd.get("status", {}).get("conditions") or ()
                ),
            )


def main() -> int:
    """Return 0 when nothing was violated."""
    parser = argparse.ArgumentParser(prog="hack/soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--instances", type=int, default=40)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kro-soak-"))
    # Whatever ends us, the control plane goes too.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.default_int_handler)
    print(f"seed {arguments.seed}, the controller's log is in {folder}", flush=True)
    plane = ControlPlane(f"kro-soak-{os.getpid()}")
    plane.up(say=print, dies_with=os.getpid())
    try:
        asyncio.run(soak(arguments, plane, folder))
    except Violation as violation:
        print(f"VIOLATED: {violation}", flush=True)
        return 1
    finally:
        plane.down()
    print("all invariants held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
