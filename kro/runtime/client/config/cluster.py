"""What is known about a cluster before the first request: address, verification, identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from kro.runtime.client.credentials import Credentials, StaticCredentials
from kro.runtime.client.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Pem:
    """PEM text, or the file that holds it and may be replaced while we run."""

    data: bytes = field(default=b"", repr=False)
    path: str = ""

    def __bool__(self) -> bool:
        """Return whether there is anything."""
        return bool(self.data or self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How the API server is verified, and the certificate we show it."""

    authority: Pem = Pem()
    certificate: Pem = Pem()
    key: Pem = Pem()
    server_name: str = ""
    insecure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """One API server and one identity. Holds no connection; a transport is made from it."""

    server: str
    """`https://host:port`, perhaps with a path, without a slash at the end."""
    namespace: str = "default"
    tls: TlsSettings = TlsSettings()
    credentials: Callable[[], Credentials] = field(default=StaticCredentials, repr=False)
    """Makes a new identity for every transport: they live on different loops."""
    headers: tuple[tuple[str, str], ...] = ()
    """Impersonation."""
    proxy: str | None = field(default=None, repr=False)
    """The proxy to use, empty for none; None: what the environment says."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Where the proxy variables are read."""
    in_cluster: bool = False

    def __post_init__(self) -> None:
        """Refuse what no request could be sent to."""
        parts = urlsplit(self.server)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ConfigurationError(f"server {self.server!r} is no URL: write https://host:port")
        if parts.username is not None or parts.query or parts.fragment:
            raise ConfigurationError("the server URL may hold a host, a port and a path only")
