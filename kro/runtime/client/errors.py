"""What can go wrong between us and the API server: one class a cause.

    ClusterError
    └── ClientError
        ├── ConfigurationError           kubeconfig, credentials, certificates: nothing was sent
        ├── NotLeadingError              the write gate is closed: nothing was sent
        ├── UnencodableError             the body cannot be written as JSON: nothing was sent
        ├── WatchLimitError              our own cap of open watches
        ├── TransportError               no usable answer
        │   ├── UnreachableError         no connection: nothing was sent
        │   ├── ConnectionLostError      cut after the request had left
        │   ├── RequestTimeoutError      our own limit ran out
        │   ├── SilentStreamError        a watch without a sign of life
        │   └── ProtocolError            an answer that no API server gives
        │       ├── RedirectError        a redirect, which is never followed
        │       └── TooLargeError        a line or a body above its cap
        └── StatusError                  the API server's own answer, one class a status code

`ambiguous` tells a writer whether the write may have taken effect although the call failed; it then
reads before it decides. No message holds a header, a token or the body of an object.

Source: spec "Controller runtime" P-034, P-104, P-111.
"""

from __future__ import annotations

import math

import msgspec

from kro.errors import ClusterError, Retry


class ClientError(ClusterError):
    """A request failed, in one of the ways below."""

    ambiguous: bool = False
    """A write may have taken effect although it failed."""


class ConfigurationError(ClientError):
    """The way to the API server is described wrongly: kubeconfig, credentials, certificates."""

    reason = "InvalidConfiguration"
    retry = Retry.NEVER


class NotLeadingError(ClientError):
    """The write gate is closed, so that nothing was sent: another process may be leading."""

    reason = "NotLeading"


class UnencodableError(ClientError):
    """The body cannot be written as JSON, so that nothing was sent."""

    reason = "Unencodable"
    retry = Retry.NEVER


class WatchLimitError(ClientError):
    """As many watches are open as we allow ourselves."""

    reason = "TooManyWatches"


class TransportError(ClientError):
    """No usable answer came."""

    reason = "Unreachable"

    def __init__(self, message: str, *, ambiguous: bool = False) -> None:
        super().__init__(message)
        self.ambiguous = ambiguous


class UnreachableError(TransportError):
    """No connection could be made; nothing was sent."""


class ConnectionLostError(TransportError):
    """The connection ended before the answer did."""

    reason = "ConnectionLost"

    def __init__(self, message: str, *, ambiguous: bool = False, answered: bool = False) -> None:
        super().__init__(message, ambiguous=ambiguous)
        self.answered = answered
        """The server had begun to answer."""


class RequestTimeoutError(TransportError):
    """Our own limit for the request ran out."""

    reason = "RequestTimeout"


class SilentStreamError(TransportError):
    """A watch stream gave no sign of life for too long."""

    reason = "SilentStream"


class ProtocolError(TransportError):
    """The answer is none that an API server gives: a redirect, a web page, garbage."""

    reason = "ProtocolError"


class RedirectError(ProtocolError):
    """The answer is a redirect: following it could carry our credentials elsewhere."""


class TooLargeError(ProtocolError):
    """A line or a body is longer than we are ready to hold."""

    reason = "TooLarge"


class Cause(msgspec.Struct, frozen=True):
    """One reason among those that a Status gives."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(msgspec.Struct, rename="camel", frozen=True):
    """What a Status is about. `kind` is the resource name in most answers of the API server."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: int = 0


class Status(msgspec.Struct, frozen=True):
    """The API server's own words about a request."""

    kind: str = ""
    status: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None


class StatusError(ClientError):
    """The API server answered with an error; the subclass says which."""

    reason = "StatusError"

    def __init__(
        self,
        code: int,
        status: Status,
        *,
        retry_after_s: float | None = None,
        ambiguous: bool = False,
    ) -> None:
        super().__init__(status.message or f"the API server answered {code}")
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s
        self.ambiguous = ambiguous

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The single reasons, where the API server gave them."""
        return self.status.details.causes if self.status.details is not None else ()


class BadRequestError(StatusError):
    """The request itself is malformed."""

    reason = "BadRequest"


class UnauthorizedError(StatusError):
    """The credentials are missing, wrong or expired."""

    reason = "Unauthorized"


class ForbiddenError(StatusError):
    """The credentials do not allow this, or an admission plug-in refused it."""

    reason = "Forbidden"


class NotFoundError(StatusError):
    """The object, or something that it needs, does not exist: `status.details` says which."""

    reason = "NotFound"


class NotServedError(NotFoundError):
    """The API server has no such endpoint: the kind is not served (any more)."""

    reason = "NotServed"


class MethodNotAllowedError(StatusError):
    """The endpoint exists and does not know this verb."""

    reason = "MethodNotAllowed"


class NotAcceptableError(StatusError):
    """The endpoint does not speak the representation that was asked for or sent."""

    reason = "NotAcceptable"


class ConflictError(StatusError):
    """Somebody else changed the object, holds a field, or a precondition does not hold."""

    reason = "Conflict"


class AlreadyExistsError(StatusError):
    """An object of that name exists."""

    reason = "AlreadyExists"


class GoneError(StatusError):
    """The cursor or the continue token is no longer part of the server's history."""

    reason = "Gone"


class ExpiredError(GoneError):
    """The same, with the reason that the API server gives since 1.17."""

    reason = "Expired"


class RequestTooLargeError(StatusError):
    """The object is larger than the API server accepts."""

    reason = "RequestEntityTooLarge"


class InvalidError(StatusError):
    """The object is well-formed and breaks a rule of its schema: `causes` lists the fields."""

    reason = "Invalid"


class TooManyRequestsError(StatusError):
    """The API server asks us to wait `retry_after_s`, which is always set."""

    reason = "TooManyRequests"
    retry_after_s: float


class ServerError(StatusError):
    """The API server failed."""

    reason = "InternalError"


class ServiceUnavailableError(ServerError):
    """The API server, or the one behind it, is not ready."""

    reason = "ServiceUnavailable"


class ServerTimeoutError(ServerError):
    """The API server's own limit ran out; the request may have taken effect."""

    reason = "Timeout"


class ResourceVersionTooLargeError(ServerTimeoutError):
    """The server has not seen the resource version that was asked for."""

    reason = "ResourceVersionTooLarge"


DEFAULT_RETRY_AFTER_S = 1.0
"""What 429 means without a usable `Retry-After`, as the overload filter sends it."""

_BY_REASON: dict[str, type[StatusError]] = {
    "AlreadyExists": AlreadyExistsError,
    "Expired": ExpiredError,
    "ServerTimeout": ServerTimeoutError,
    "Timeout": ServerTimeoutError,
}
_BY_CODE: dict[int, type[StatusError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    405: MethodNotAllowedError,
    406: NotAcceptableError,
    409: ConflictError,
    410: GoneError,
    413: RequestTooLargeError,
    415: NotAcceptableError,
    422: InvalidError,
    429: TooManyRequestsError,
    503: ServiceUnavailableError,
    504: ServerTimeoutError,
}
_TOO_LARGE_RV = "ResourceVersionTooLarge"


def status_error(
    code: int, status: Status | None, *, retry_after_s: float | None = None, write: bool = False
) -> StatusError:
    """Return the error of an answer `code`, with `status` if the server gave a reason in JSON.

    `write` says that the request could have changed something: a 5xx then is ambiguous.
    """
    known = status if status is not None else Status(code=code)
    kind = _BY_REASON.get(known.reason) or _BY_CODE.get(code)
    if kind is None:
        kind = ServerError if code >= 500 else StatusError
    if kind is NotFoundError and (known.details is None or not known.details.name):
        kind = NotServedError
    details = known.details
    if retry_after_s is None and details is not None and details.retry_after_seconds > 0:
        retry_after_s = float(details.retry_after_seconds)
    if kind is TooManyRequestsError and retry_after_s is None:
        retry_after_s = DEFAULT_RETRY_AFTER_S
    if details is not None and any(cause.reason == _TOO_LARGE_RV for cause in details.causes):
        kind = ResourceVersionTooLargeError
    return kind(code, known, retry_after_s=retry_after_s, ambiguous=write and code >= 500)


def retry_after(value: str | None, *, now_epoch_s: float) -> float | None:
    """Return the seconds that a `Retry-After` header asks for, or None if it says nothing usable.

    Units: `now_epoch_s` is wall-clock time; it matters for the date form alone.
    Source: RFC 9110 §10.2.3.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            seconds = parsedate_to_datetime(value).timestamp() - now_epoch_s
        except ValueError:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
