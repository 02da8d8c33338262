"""What an HTTP answer is: a body, a refusal, or no answer of an API server at all.

Nothing here quotes what we sent: no header, no URL, no body.

Source: spec "Controller runtime" P-034, P-035, P-039, P-040.
"""

from __future__ import annotations

import asyncio
import time

import aiohttp
import msgspec

from kro.runtime.client.errors import (
    ClientError,
    ConnectionLostError,
    ProtocolError,
    RedirectError,
    RequestTimeoutError,
    Status,
    TooLargeError,
    UnreachableError,
    retry_after,
    status_error,
)
from kro.runtime.client.redaction import redacted

_ERROR_BYTES = 64 * 1024
_MESSAGE_CHARACTERS = 8 * 1024
_STATUS_DECODER = msgspec.json.Decoder(Status)


async def read_body(response: aiohttp.ClientResponse, cap: int) -> bytes:
    """Return the whole body of an answer.

    Raises:
        TooLargeError: it is longer than `cap` bytes, after decompression.
    """
    content = response.content
    parts: list[bytes] = []
    size = 0
    while part := await content.readany():
        size += len(part)
        if size > cap:
            response.close()
            raise TooLargeError(f"the answer is longer than {cap} bytes")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def as_client_error(error: Exception, *, write: bool, answered: bool) -> ClientError:
    """Return our own error for one of aiohttp or the system. Quotes no URL, header or body."""
    if isinstance(error, ClientError):
        return error
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return UnreachableError("no connection to the API server in time")
    if isinstance(error, TimeoutError):
        return RequestTimeoutError("the API server did not answer in time", ambiguous=write)
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        detail = getattr(error, "certificate_error", error)
        words = getattr(detail, "verify_message", "") or type(detail).__name__
        return UnreachableError(f"TLS with the API server failed: {words}")
    if isinstance(error, aiohttp.ClientConnectorError):
        words = error.os_error.strerror or type(error.os_error).__name__
        return UnreachableError(f"no connection to {error.host}:{error.port}: {words}")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return UnreachableError(f"the proxy answered {error.status}")
    if isinstance(error, aiohttp.ClientResponseError):
        return ProtocolError("the answer is no HTTP", ambiguous=write)
    if isinstance(error, aiohttp.InvalidURL):
        return UnreachableError("the URL of the API server or of the proxy is not usable")
    words = getattr(error, "strerror", None) or type(error).__name__
    return ConnectionLostError(
        f"the connection to the API server was lost: {words}", ambiguous=write, answered=answered
    )


def expect_json(response: aiohttp.ClientResponse, *, accept: str = "application/json") -> None:
    if response.content_type != "application/json" and accept != "*/*":
        raise ProtocolError(
            f"the answer has the content type {response.content_type[:60]!r}, not JSON:"
            " something between us and the API server answers in its place",
            ambiguous=response.method != "GET",
        )


async def refusal(
    response: aiohttp.ClientResponse,
    *,
    write: bool,
    total_s: float,
    secret: bytes | None = None,
) -> ClientError:
    """Return the error that an answer outside 2xx stands for.

    Its body is read for at most `total_s`; the status line alone says enough to go on.

    Args:
        secret: the Secret that was sent, of which the error must tell nothing.
    """
    code = response.status
    if 300 <= code < 400:
        return RedirectError(
            f"{response.host} answered {code}, a redirect, which is never followed",
            ambiguous=write,
        )
    status, text = None, ""
    try:
        async with asyncio.timeout(total_s):
            body = await response.content.read(_ERROR_BYTES)
            while len(body) < _ERROR_BYTES and not response.content.at_eof():
                body += await response.content.read(_ERROR_BYTES - len(body))
        status, text = _parse_refusal(response, body)
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    if status is None:
        status = Status(
            code=code, message=f"the API server answered {code}" + (f": {text}" if text else "")
        )
    status = redacted(status, secret)
    if len(status.message) > _MESSAGE_CHARACTERS:
        status = msgspec.structs.replace(status, message=status.message[:_MESSAGE_CHARACTERS] + "…")
    return status_error(
        code,
        status,
        retry_after_s=retry_after(response.headers.get("Retry-After"), now_epoch_s=time.time()),
        write=write,
    )


def _parse_refusal(response: aiohttp.ClientResponse, body: bytes) -> tuple[Status | None, str]:
    """Return the Status of a refusal, or a few words of a plain text."""
    if response.content_type == "application/json":
        try:
            status = _STATUS_DECODER.decode(body)
        except (msgspec.MsgspecError, RecursionError):
            return None, ""
        return (status if status.kind == "Status" else None), ""
    if response.content_type != "text/plain":
        return None, ""
    text = " ".join(body[:200].decode("utf-8", "replace").split())
    sent = response.request_info.headers.get("Authorization", "")
    if not text.isprintable() or (sent and sent.split(" ")[-1][:20] in text):
        return None, ""
    return None, text
