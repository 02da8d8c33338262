"""What the API server says about a Secret tells nothing of what it holds."""

from __future__ import annotations

import base64
import json

import pytest

from kro.runtime.client.errors import Cause, Status, StatusDetails
from kro.runtime.client.redaction import redacted

PASSWORD = "correct-horse-battery"
ENCODED = base64.b64encode(PASSWORD.encode()).decode()
LONG = "".join(f"part{number}" for number in range(40))
KEY = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\n-----END KEY-----\n"
SECRET = json.dumps(
    {
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "team-a"},
        "data": {"password": ENCODED, "tls.key": base64.b64encode(KEY.encode()).decode()},
        "stringData": {
            "pin": 42,
            "user": "admin-of-the-database",
            "long": LONG,
            "deep": {"list": ["inner-value", None, True]},
        },
    }
).encode()


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        pytest.param(
            f'Secret "db" is invalid: data[password]: Invalid value: "{ENCODED}": too long',
            'Secret "db" is invalid: data[password]: Invalid value: "<redacted>": too long',
            id="as it was sent",
        ),
        pytest.param(
            f"admission webhook denied the request: {PASSWORD} is in a dictionary",
            "admission webhook denied the request: <redacted> is in a dictionary",
            id="decoded",
        ),
        pytest.param(
            ".stringData.pin: expected string, got &value.valueUnstructured{Value:42}",
            ".stringData.pin: expected string, got &value.valueUnstructured{Value:<redacted>}",
            id="a short value of the wrong type",
        ),
        pytest.param(
            'got "-----BEGIN KEY-----\\nMIIEowIBAAKCAQEA\\n-----END KEY-----\\n"',
            'got "<redacted>\\n<redacted>\\n<redacted>\\n"',
            id="lines of a quoted text",
        ),
        pytest.param(
            f'invalid syntax "{LONG[:64]}…" and "{LONG}"',
            'invalid syntax "<redacted>…" and "<redacted>"',
            id="a long value that was cut",
        ),
        pytest.param(
            f"holds {base64.b64encode(b'admin-of-the-database').decode()}",
            "holds <redacted>",
            id="a plain text, as the server encodes it",
        ),
        pytest.param("inner-value is odd", "<redacted> is odd", id="a value further down"),
        pytest.param(
            'secrets "db" is forbidden: User "kro" cannot patch resource "secrets"',
            'secrets "db" is forbidden: User "kro" cannot patch resource "secrets"',
            id="what quotes nothing stays as it is",
        ),
    ],
)
def test_quotes_of_a_secret_are_taken_out(message: str, shown: str) -> None:
    """What is wrong is still told: names, fields, rules."""
    assert redacted(Status(message=message), SECRET).message == shown


def test_causes_are_redacted_too() -> None:
    """Conditions may list them one by one."""
    cause = Cause("FieldValueInvalid", f'Invalid value: "{PASSWORD}"', "data[password]")
    status = Status(message="invalid", details=StatusDetails(name="db", causes=(cause,)))

    details = redacted(status, SECRET).details

    assert details is not None
    assert details.causes == (
        Cause("FieldValueInvalid", 'Invalid value: "<redacted>"', "data[password]"),
    )


@pytest.mark.parametrize("sent", [None, b"", b"{", b"[]", b'{"data": "text"}'])
def test_a_body_that_is_no_secret_changes_nothing(sent: bytes | None) -> None:
    """Reads send none; what cannot be read was not sent as a Secret."""
    assert redacted(Status(message="not found"), sent).message == "not found"
