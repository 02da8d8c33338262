"""URLs of objects and collections.

A name comes from a definition, an instance or an expression: none may lead anywhere but to an
object of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from kro.refs import GVR
from kro.runtime.client.errors import BadRequestError, Status


def target(
    gvr: GVR,
    namespace: str,
    name: str | None,
    subresource: str,
    query: Mapping[str, str] | None,
) -> str:
    """Return path and query; without a `name` those of the collection."""
    target = gvr.path
    if namespace:
        target += f"/namespaces/{segment(namespace, 'namespace')}"
    target += f"/{gvr.resource}"
    if name is not None:
        target += f"/{segment(name, 'name')}"
    if subresource:
        target += f"/{subresource}"
    if query:
        encoded = urlencode({key: value for key, value in query.items() if value})
        if encoded:
            target += f"?{encoded}"
    return target


def segment(value: str, what: str) -> str:
    """Return a name as one segment of a path, so that it can never become another path.

    Raises:
        BadRequestError: no object can have that name.
    """
    if not value or value in (".", "..") or "/" in value or "%" in value:
        message = f"{what} {value[:80]!r} cannot be the name of an object"
        raise BadRequestError(400, Status(reason="BadRequest", code=400, message=message))
    return value if value.isalnum() and value.isascii() else quote(value, safe=":-._~")
