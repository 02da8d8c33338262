"""Identities that kubernetes_asyncio obtains for us: the legacy `auth-provider` entries (OIDC).

Importing it costs 55 MiB, which is why this module is imported for such entries alone.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Mapping

from aiohttp import ClientError

from kro.runtime.client.credentials import RECHECK_S, ClientCertificate
from kro.runtime.client.errors import UnreachableError

_TIMEOUT_S = 30.0


class BorrowedCredentials:
    """The identity of an `auth-provider` entry, refreshed when its token has expired."""

    def __init__(self, document: Mapping[str, object]) -> None:
        # The loader writes refreshed tokens into its document.
        self._document = copy.deepcopy(dict(document))
        self._header: str | None = None
        self._checked: float | None = None
        self._lock = asyncio.Lock()

    async def authorization(self) -> str | None:
        """Return the header of the moment.

        Raises:
            UnreachableError: the identity provider gave nothing.
        """
        if self._checked is None or time.monotonic() - self._checked >= RECHECK_S:
            async with self._lock:
                await self._load()
        return self._header

    async def renew(self, refused: str | None) -> bool:
        """Let the loader look at the token, and refresh it if it has expired."""
        async with self._lock:
            if self._header == refused:
                await self._load()
        return self._header != refused

    @property
    def certificate(self) -> ClientCertificate | None:
        """None: these providers give tokens."""
        return None

    async def _load(self) -> None:
        from kubernetes_asyncio.client import Configuration
        from kubernetes_asyncio.config import ConfigException, load_kube_config_from_dict

        configuration = Configuration()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await load_kube_config_from_dict(self._document, client_configuration=configuration)
        except (ConfigException, ClientError, OSError, ValueError, KeyError, TypeError) as error:
            # Not chained: the text of the error may quote the entry, and the entry holds secrets.
            raise UnreachableError(
                f"the auth-provider of the kubeconfig gave no token: {type(error).__name__}"
            ) from None
        header = configuration.api_key.get("BearerToken")
        if not isinstance(header, str):
            raise UnreachableError("the auth-provider of the kubeconfig gave no token")
        self._header = header
        self._checked = time.monotonic()
