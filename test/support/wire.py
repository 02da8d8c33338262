"""A controller process that reaches its API server through a proxy, and what it says of itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from support.http_proxy import HttpProxy, Seen
from support.kube import WAIT_S
from support.operator import Operator, Surroundings

_SAMPLE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? ([-+.\deInfNa]+)$", re.MULTILINE)
_ALARMS: Final = ("never retrieved", "nclosed", "was destroyed", "never awaited", "Traceback")
"""What no log of a healthy process says, whatever happened to it."""


@dataclass(slots=True)
class Wire:
    """The process, the proxy before its API server, and the identity that it shows."""

    surroundings: Surroundings
    proxy: HttpProxy
    kubeconfig: Path
    token_file: Path
    tokens: list[str]
    """Those that it has had, the present one last. Only the first is known to the API server."""
    operator: Operator

    def successor(self) -> str:
        """Let a further token be valid, and return it."""
        token = f"successor-{len(self.tokens)}-{'s3cret' * 4}"
        self.proxy.identities[f"Bearer {token}"] = f"Bearer {self.tokens[0]}"
        self.tokens.append(token)
        return token

    def samples(self, name: str, **labels: str) -> float:
        """Return the sum of the metric's samples that carry the labels."""
        total = 0.0
        for found, text, value in _SAMPLE.findall(self.operator.metrics()):
            carried = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text or ""))
            if found == name and labels.items() <= carried.items():
                total += float(value)
        return total

    def trouble(self) -> float:
        """Return how much has gone wrong so far, by what the metrics say."""
        return sum(
            float(value)
            for found, text, value in _SAMPLE.findall(self.operator.metrics())
            if (found == "rest_client_requests_total" and 'code="2' not in text)
            or found == "dynamic_controller_handler_errors_total"
            or (
                found == "kro_runtime_watch_streams_ended_total"
                and not re.search('cause="(closed|abandoned)"', text)
            )
        )

    async def until(self, condition: Callable[[], bool], *, within_s: float = WAIT_S) -> None:
        """Return once the condition holds; it is asked in a thread.

        Raises:
            TimeoutError: it did not in time.
        """
        async with asyncio.timeout(within_s):
            while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)


@contextmanager
def wired(surroundings: Surroundings, folder: Path, *, flags: Sequence[str] = ()) -> Iterator[Wire]:
    """Lend a controller behind a proxy, still to be started; if it runs at the end, it ends well.

    Its token comes from a file, which may be replaced.
    """
    config = yaml.safe_load(surroundings.controller_kubeconfig.read_text())
    [user], [cluster] = config["users"], config["clusters"]
    token = user["user"].pop("token")
    token_file = folder / "token"
    swap(token_file, token)
    user["user"]["tokenFile"] = str(token_file)
    log = folder / "controller.log"
    certificates = surroundings.kubeconfig.parent / "certificates"
    with HttpProxy(cluster["cluster"]["server"], certificates=certificates) as proxy:
        cluster["cluster"]["server"] = proxy.url
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        operator = Operator(kubeconfig, log, flags=flags)
        wire = Wire(surroundings, proxy, kubeconfig, token_file, [token], operator)
        code = 0
        try:
            yield wire
            proxy.rules.clear()
            code = operator.stop()
        finally:
            operator.kill()
    text = log.read_text(errors="replace")
    assert code == 0, operator.last_lines()
    assert [each for each in wire.tokens if each in text] == []
    assert [alarm for alarm in _ALARMS if alarm in text] == [], operator.last_lines(80)


def swap(path: Path, text: str) -> None:
    """Make a file say something else in one step, as the kubelet does with its links."""
    number = len(list(path.parent.glob(f"{path.name}.*")))
    content = path.with_name(f"{path.name}.{number}")
    content.write_text(text)
    link = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
    link.symlink_to(content.name)
    link.replace(path)


def writes(seen: Seen) -> bool:
    """Whether the request may change something, other than the lease."""
    return seen.method != "GET" and "/leases" not in seen.path
