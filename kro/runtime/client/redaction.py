"""What the API server says about a Secret that it was sent, without what that holds."""

from __future__ import annotations

from typing import Final

import msgspec

from kro.redaction import contents, hide
from kro.refs import GVR
from kro.runtime.client.errors import Cause, Status

SECRETS: Final = GVR("", "v1", "secrets")


def redacted(status: Status, sent: bytes | None) -> Status:
    """Return the status without anything that the Secret in `sent` holds.

    Without a body that can be read, a status is returned as it is: then nothing was sent.
    """
    quotes = contents([_decoded(sent)]) if sent else []
    if not quotes:
        return status
    details = status.details
    if details is not None:
        causes = tuple(
            Cause(cause.reason, hide(cause.message, quotes), cause.field)
            for cause in details.causes
        )
        details = msgspec.structs.replace(details, causes=causes)
    return msgspec.structs.replace(status, message=hide(status.message, quotes), details=details)


def _decoded(sent: bytes) -> object:
    try:
        return msgspec.json.decode(sent)
    except (msgspec.MsgspecError, RecursionError):
        return None
