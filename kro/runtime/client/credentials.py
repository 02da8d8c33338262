"""Who we are for the API server: the Authorization header, and what keeps it fresh.

Source: spec "Controller runtime" P-114, P-117; client authentication API v1 for exec plug-ins.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from kro.runtime.client.errors import ConfigurationError, UnreachableError

RECHECK_S = 45.0
"""How old our knowledge of a file may be before it is looked at again."""
_MAX_TOKEN_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate and its key, as PEM text."""

    certificate: bytes = field(repr=False)
    key: bytes = field(repr=False)


class Credentials(Protocol):
    """The identity behind the requests of one transport."""

    async def authorization(self) -> str | None:
        """Return the Authorization header to send now; cheap when nothing is due."""

    async def renew(self, refused: str | None) -> bool:
        """Return whether there is another identity than the one whose header was refused.

        Looks for one, unless somebody else has found it meanwhile.
        """

    @property
    def certificate(self) -> ClientCertificate | None:
        """The client certificate, where the credentials bring one along."""


class StaticCredentials:
    """An identity that never changes: a token, a user with password, or none."""

    def __init__(self, header: str | None = None) -> None:
        self._header = header

    @classmethod
    def bearer(cls, token: str) -> StaticCredentials:
        """Return the identity of a token."""
        return cls(f"Bearer {token}")

    @classmethod
    def basic(cls, user: str, password: str) -> StaticCredentials:
        """Return the identity of a user with a password."""
        return cls("Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())

    async def authorization(self) -> str | None:
        """Return the header."""
        return self._header

    async def renew(self, refused: str | None) -> bool:
        """Return that there is nothing newer."""
        return False

    @property
    def certificate(self) -> ClientCertificate | None:
        """None: a certificate that does not change belongs to the TLS settings."""
        return None


class TokenFile:
    """A bearer token that somebody else rotates in a file.

    A changed file is noticed within a minute. A read that fails, or that gives an empty file, keeps
    the token that we have. The file is read in a thread, once at a time, and nobody waits for it
    but the request that found it due.
    """

    def __init__(self, path: str, *, recheck_s: float = RECHECK_S) -> None:
        self._path = path
        self._recheck_s = recheck_s
        self._header = _bearer(read_token(path))
        self._checked = time.monotonic()

    async def authorization(self) -> str | None:
        """Return the header of the newest token that could be read."""
        if time.monotonic() - self._checked >= self._recheck_s:
            await self._read()
        return self._header

    async def renew(self, refused: str | None) -> bool:
        """Read the file now, unless the refused token is an old one already."""
        if self._header == refused:
            await self._read()
        return self._header != refused

    async def _read(self) -> None:
        self._checked = time.monotonic()
        with contextlib.suppress(ConfigurationError):
            self._header = _bearer(await asyncio.to_thread(read_token, self._path))

    @property
    def certificate(self) -> ClientCertificate | None:
        """None: a token needs none."""
        return None


def read_token(path: str) -> str:
    """Return the token in a file, without white space around it.

    Never waits for a writer: what is no regular file is an error.

    Raises:
        ConfigurationError: it cannot be read, is no regular file, or holds no token.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigurationError(f"token file {path} is no regular file")
            text = file.read(_MAX_TOKEN_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
        raise ConfigurationError(f"token file {path} cannot be read: {problem}") from error
    if not text or any(character.isspace() for character in text):
        raise ConfigurationError(f"token file {path} does not hold one token")
    return text


def _bearer(token: str) -> str:
    return f"Bearer {token}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlugin:
    """How a kubeconfig says that credentials are obtained: by running a program."""

    command: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    api_version: str = "client.authentication.k8s.io/v1"
    install_hint: str = ""
    cluster: Mapping[str, object] | None = None
    """What the plug-in is told about the cluster, when the kubeconfig wants that."""


class _ExecStatus(msgspec.Struct, rename="camel"):
    token: str = ""
    expiration_timestamp: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""


class _ExecCredential(msgspec.Struct, rename="camel"):
    kind: str
    api_version: str
    status: _ExecStatus


class ExecCredentials:
    """The identity that a program prints, kept until shortly before it expires.

    The program has no terminal, `timeout_s` to end, and after a failure it is not run again for a
    pause that doubles up to five minutes; until then the last identity stays in use as long as it
    is valid.
    """

    def __init__(self, plugin: ExecPlugin, *, timeout_s: float = 30.0) -> None:
        self._plugin = plugin
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._status: _ExecStatus | None = None
        self._expires: float | None = None
        self._failures = 0
        self._next_run = 0.0
        self._certificate: ClientCertificate | None = None
        self._problem = ""

    async def authorization(self) -> str | None:
        """Return the header; runs the program when there is none or it is about to expire.

        Raises:
            UnreachableError: the program gave nothing usable and what we had has expired.
        """
        if not self._is_fresh(margin_s=10.0):
            async with self._lock:
                if not self._is_fresh(margin_s=10.0):
                    await self._run()
        status = self._status
        if status is None or not self._is_fresh(margin_s=0.0):
            raise UnreachableError(f"no credentials: {self._problem}")
        return self._header

    async def renew(self, refused: str | None) -> bool:
        """Run the program again, unless it just ran or has given another token meanwhile."""
        before = self._status
        async with self._lock:
            if self._header == refused and self._status is before:
                await self._run()
        return self._header != refused or (refused is None and self._status != before)

    @property
    def _header(self) -> str | None:
        return _bearer(self._status.token) if self._status and self._status.token else None

    @property
    def certificate(self) -> ClientCertificate | None:
        """The client certificate that the program gave last."""
        return self._certificate

    def _is_fresh(self, *, margin_s: float) -> bool:
        if self._status is None:
            return False
        return self._expires is None or time.time() + margin_s < self._expires

    async def _run(self) -> None:
        if time.monotonic() < self._next_run:
            return
        try:
            status = await self._ask()
            self._expires = _epoch(status.expiration_timestamp)
        except ConfigurationError as error:
            self._failures += 1
            pause_s = min(2.0**self._failures, 300.0)
            self._next_run = time.monotonic() + pause_s
            self._problem = str(error)
            return
        self._status = status
        self._problem = "the credential plug-in gave a token that has expired"
        self._certificate = (
            ClientCertificate(
                status.client_certificate_data.encode(), status.client_key_data.encode()
            )
            if status.client_certificate_data
            else None
        )
        # A program that answers with the same expired token must not be run a request.
        self._failures = 0
        self._next_run = time.monotonic() + 2.0

    async def _ask(self) -> _ExecStatus:
        plugin = self._plugin
        spec: dict[str, object] = {"interactive": False}
        if plugin.cluster is not None:
            spec["cluster"] = dict(plugin.cluster)
        info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
        environment = {
            **os.environ,
            **plugin.environment,
            "KUBERNETES_EXEC_INFO": msgspec.json.encode(info).decode(),
        }
        name = Path(plugin.command).name
        try:
            process = await asyncio.create_subprocess_exec(
                plugin.command,
                *plugin.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            hint = f"; {plugin.install_hint}" if plugin.install_hint else ""
            raise ConfigurationError(
                f"credential plug-in {name} cannot be run: {error.strerror}{hint}"
            ) from error
        try:
            async with asyncio.timeout(self._timeout_s):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise ConfigurationError(
                f"credential plug-in {name} gave no answer within {self._timeout_s:g} s"
            ) from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode != 0:
            raise ConfigurationError(f"credential plug-in {name} ended with {process.returncode}")
        try:
            answer = msgspec.json.decode(output, type=_ExecCredential)
        except msgspec.MsgspecError:
            # The cause would carry what the plug-in printed.
            raise ConfigurationError(
                f"credential plug-in {name} printed no ExecCredential"
            ) from None
        status = answer.status
        if answer.kind != "ExecCredential" or answer.api_version != plugin.api_version:
            raise ConfigurationError(
                f"credential plug-in {name} answered {answer.kind} {answer.api_version},"
                f" not ExecCredential {plugin.api_version}"
            )
        if not status.token and not status.client_certificate_data:
            raise ConfigurationError(
                f"credential plug-in {name} gave neither a token nor a certificate"
            )
        if bool(status.client_certificate_data) != bool(status.client_key_data):
            raise ConfigurationError(
                f"credential plug-in {name} gave a certificate without its key, or the reverse"
            )
        return status


def _epoch(timestamp: str) -> float | None:
    if not timestamp:
        return None
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError as error:
        raise ConfigurationError("a credential plug-in gave an expiry that is no time") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
