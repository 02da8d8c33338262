"""The processes of a control plane one by one: ended, started again, and taken back in time.

Only for a control plane of one's own: others would be disturbed.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

import aiohttp

from support.controlplane import ControlPlane
from support.controlplane.plane import free_ports
from support.controlplane.processes import ProcessId, identify, is_alive, kill, spawn

API_SERVER: Final = "kube-apiserver"
ETCD: Final = "etcd"
SECOND: Final = "second-kube-apiserver"


class Components:
    """Etcd and the API server of one control plane."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._argv = {name: self._command_line(name) for name in (ETCD, API_SERVER)}

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End a process by a signal; it is gone when this returns."""
        process = self._process(name)
        if is_alive(process):
            os.kill(process.pid, number)
        kill(process, within_s=10.0) if number is signal.SIGKILL else self._wait_end(process)

    def start(self, name: str, *more: str) -> None:
        """Start a process again as it was, perhaps with further flags."""
        self._spawn(name, [*self._argv[name], *more])

    def _spawn(self, name: str, argv: list[str]) -> ProcessId:
        """Start a process that the control plane knows and ends with itself."""
        process = spawn(argv, log=self._plane.log_of(name), cwd=self._plane.folder)
        path = self._plane.folder / "state.json"
        state = json.loads(path.read_text())
        state["processes"][name] = asdict(process)
        path.write_text(json.dumps(state))
        return process

    @asynccontextmanager
    async def second_api_server(self, etcd: str = "") -> AsyncIterator[tuple[str, int]]:
        """Run another API server on the same etcd for the length of the block.

        Args:
            etcd: its URL, if this server is to reach it in another way.
        """
        [port] = free_ports(1)
        own = ("--secure-port=", "--etcd-servers=") if etcd else ("--secure-port=",)
        argv = [each for each in self._argv[API_SERVER] if not each.startswith(own)]
        argv += [f"--secure-port={port}", *([f"--etcd-servers={etcd}"] if etcd else [])]
        process = self._spawn(SECOND, argv)
        try:
            await self._serves(port)
            yield "127.0.0.1", port
        finally:
            await asyncio.to_thread(kill, process)

    async def _serves(self, port: int) -> None:
        url = f"https://127.0.0.1:{port}/readyz"
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError):
                    async with session.get(url, ssl=False) as answer:
                        if answer.status in (200, 401, 403):  # it says more to those it knows
                            return
                await asyncio.sleep(0.1)

    def etcd_address(self) -> tuple[str, int]:
        """Return where etcd listens."""
        flag = next(each for each in self._argv[API_SERVER] if each.startswith("--etcd-servers="))
        host, _, port = flag.partition("=http://")[2].rpartition(":")
        return host, int(port)

    async def pause(self, name: str, seconds: float) -> None:
        """Let a process stand still for so long."""
        pid = self._process(name).pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)

    async def ready(self) -> None:
        """Return once the API server is ready."""
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(self._plane.is_ready):  # noqa: ASYNC110 - a process
                await asyncio.sleep(0.1)

    async def restart(self, number: signal.Signals = signal.SIGTERM, *more: str) -> None:
        """End the API server and start it again; return when it is ready."""
        await asyncio.to_thread(self.end, API_SERVER, number)
        self.start(API_SERVER, *more)
        await self.ready()

    async def compact(self, revision: int) -> None:
        """Let etcd forget everything before that revision."""
        flag = next(each for each in self._argv[API_SERVER] if each.startswith("--etcd-servers="))
        url = f"{flag.partition('=')[2]}/v3/kv/compaction"
        body = {"revision": str(revision), "physical": True}
        async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
            answer.raise_for_status()

    async def backup(self, target: Path) -> None:
        """Keep a copy of what etcd holds; API server and etcd are restarted for it."""
        await self._replace_data(lambda data: shutil.copytree(data, target))

    async def restore(self, source: Path) -> None:
        """Make etcd hold what it held at the backup."""

        def put_back(data: Path) -> object:
            shutil.rmtree(data)
            return shutil.copytree(source, data)

        await self._replace_data(put_back)

    async def _replace_data(self, work: Callable[[Path], object]) -> None:
        await asyncio.to_thread(self.end, API_SERVER, signal.SIGKILL)
        await asyncio.to_thread(self.end, ETCD)
        await asyncio.to_thread(work, self._plane.folder / "etcd")
        self.start(ETCD)
        self.start(API_SERVER)
        await self.ready()

    def _process(self, name: str) -> ProcessId:
        state = json.loads((self._plane.folder / "state.json").read_text())
        return ProcessId(**state["processes"][name])

    def _command_line(self, name: str) -> list[str]:
        pid = self._process(name).pid
        assert is_alive(identify(pid))
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")

    @staticmethod
    def _wait_end(process: ProcessId) -> None:
        deadline = time.monotonic() + 15
        while is_alive(process) and time.monotonic() < deadline:
            time.sleep(0.02)
        kill(process)
