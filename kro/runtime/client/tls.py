"""TLS contexts that follow the files they are made from.

Source: spec "Controller runtime" P-115, P-116, P-119.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from kro.runtime.client.config import ClusterConfig, Pem, TlsSettings
from kro.runtime.client.credentials import ClientCertificate
from kro.runtime.client.errors import ConfigurationError

Material = tuple[bytes, bytes, bytes]
"""CA, certificate and key as PEM text."""


class TlsSource:
    """The TLS context for new connections; another one when its files have changed.

    `version` counts the contexts, so that connection pools notice.
    """

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self._plugin: ClientCertificate | None = None
        self._material = _read(settings)
        self.context = build_context(settings, self._material)
        self.version = 0

    async def refresh(self, plugin: ClientCertificate | None) -> None:
        """Look at the files and at the certificate of a plug-in; keep what works if they do not."""
        try:
            material = await asyncio.to_thread(_read, self._settings)
            if plugin is not None:
                material = (material[0], plugin.certificate, plugin.key)
            if material == self._material:
                return
            context = await asyncio.to_thread(build_context, self._settings, material)
        except ConfigurationError:
            return
        self._material = material
        self.context = context
        self.version += 1


def build_context(settings: TlsSettings, material: Material) -> ssl.SSLContext:
    """Return a context that verifies the server by `material` and shows our certificate.

    Raises:
        ConfigurationError: a certificate or the key is not usable.
    """
    authority, certificate, key = material
    try:
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError("the certificate authority holds no PEM certificate") from error
    # Many cluster CAs lack the key identifiers that Python 3.13 insists on by default.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        try:
            with _as_file(certificate + b"\n" + key) as path:
                context.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise ConfigurationError("the client certificate and its key do not fit") from error
    return context


def _no_password() -> str:
    raise ValueError("the client key is encrypted")


def _read(settings: TlsSettings) -> Material:
    return (_pem(settings.authority), _pem(settings.certificate), _pem(settings.key))


def _pem(pem: Pem) -> bytes:
    if not pem.path:
        return pem.data
    try:
        return Path(pem.path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{pem.path} cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Lend a file name for a secret: the ssl module loads keys from files only.

    The file is memory where the system has such files, else private and gone after the block.
    """
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        descriptor = os.memfd_create("kro-tls", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as memory:
            memory.write(content)
            memory.flush()
            yield f"/proc/self/fd/{descriptor}"
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name


def shrink_tls_buffers(size: int = 32 * 1024) -> None:
    """Make every TLS connection of asyncio's own event loop, from now on, hold a smaller buffer.

    The standard library allots 256 KiB a connection, of which a watch uses a few; with hundreds of
    watches this is most of the process. It concerns the whole process, so the one who composes it
    calls this. uvloop has buffers of its own and is not concerned.

    Units: bytes; a TLS record of 16 KiB must fit.
    """
    from asyncio import sslproto

    if hasattr(sslproto.SSLProtocol, "max_size"):
        sslproto.SSLProtocol.max_size = max(size, 32 * 1024)


def proxy_for(config: ClusterConfig) -> str | None:
    """Return the proxy that leads to the API server, or None for a direct way.

    Raises:
        ConfigurationError: the proxy is no HTTP proxy, or would read our credentials.
    """
    target = urlsplit(config.server)
    proxy = config.proxy
    if proxy is None:
        environment = config.environment
        if _is_exempt(target.hostname or "", target.port, _variable(environment, "NO_PROXY")):
            return None
        proxy = _variable(environment, f"{target.scheme.upper()}_PROXY")
    if not proxy:
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    parts = urlsplit(proxy)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError("the proxy for the API server must be http:// or https://")
    if target.scheme == "http":
        raise ConfigurationError(
            "a plain http API server behind a proxy would show the proxy our credentials;"
            " use https, or put the server into NO_PROXY"
        )
    return proxy


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.lower()) or ""


def _is_exempt(host: str, port: int | None, rules: str) -> bool:
    """Whether NO_PROXY, a list of hosts, domains, addresses and networks, names the host."""
    host = host.lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    for rule in (part.strip().lower() for part in rules.split(",")):
        if rule == "*":
            return True
        if not rule:
            continue
        if address is not None and "/" in rule:
            with contextlib.suppress(ValueError):
                if address in ipaddress.ip_network(rule, strict=False):
                    return True
            continue
        name, colon, wanted = rule.rpartition(":")
        if colon and wanted.isdigit() and not name.endswith(":") and "::" not in rule:
            if int(wanted) != port:
                continue
            rule = name
        rule = rule.strip("[]").removeprefix("*")
        if host == rule.removeprefix(".") and not rule.startswith("."):
            return True
        if address is None and host.endswith(rule if rule.startswith(".") else f".{rule}"):
            return True
    return False
