"""A few requests to an API server, with the standard library alone."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any


class AdminClient:
    """Synchronous requests as the administrator, for bringing things up and for tests.

    Every method raises `urllib.error.HTTPError` for an answer that is no success, and another
    `OSError` where there was none.
    """

    def __init__(self, *, server: str, ca: bytes, token: str) -> None:
        self._server, self._token = server, token
        self._tls = ssl.create_default_context(cadata=ca.decode("ascii"))

    def get(self, path: str, *, timeout_s: float = 10.0) -> Any:
        return self._request("GET", path, None, timeout_s)

    def post(self, path: str, body: Mapping[str, object], *, timeout_s: float = 10.0) -> Any:
        return self._request("POST", path, body, timeout_s)

    def delete(self, path: str, *, timeout_s: float = 10.0) -> Any:
        return self._request("DELETE", path, None, timeout_s)

    def ensure(self, path: str, body: Mapping[str, object]) -> None:
        """The object exists, made now or before."""
        try:
            self.post(path, body)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 409:
                raise

    def is_there(self, path: str) -> bool:
        """Return whether a GET succeeds; False also while the server is not up or refuses."""
        try:
            self.get(path, timeout_s=2.0)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False
        return True

    def _request(
        self, method: str, path: str, body: Mapping[str, object] | None, timeout_s: float
    ) -> Any:
        request = urllib.request.Request(
            self._server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._token}",
                "Accept": "application/json",
                "Content-Type": "application/json",
            },
        )
        # A proxy in the environment is for the world outside, never for this machine.
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._tls)
        )
        with opener.open(request, timeout=timeout_s) as response:
            data = response.read()
        is_json = response.headers.get_content_type() == "application/json"
        return json.loads(data) if is_json else data.decode()
