"""JSON of any depth is read, as far as it can be."""

from __future__ import annotations

import orjson
import pytest

from kro.runtime.client import ProtocolError
from kro.runtime.client.wire import (
    DEEPEST,
    EVENT_DECODER,
    LIST_DECODER,
    decode_object,
    decode_text,
    without_depths,
)


def _nested(depth: int, *, opening: bytes = b'{"a":', closing: bytes = b"}") -> bytes:
    return b'{"metadata":{"name":"x"},"spec":' + opening * depth + b"1" + closing * depth + b"}"


@pytest.mark.parametrize("depth", [1100, 20_000, 200_000])
@pytest.mark.parametrize(
    ("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]"), (b'{"}]":[', b"]}")]
)
def test_an_object_that_no_parser_reads_is_cut_and_not_refused(
    depth: int, opening: bytes, closing: bytes
) -> None:
    """Whoever writes one object must not be able to end the stream of all others."""
    found = decode_text(decode_object, _nested(depth, opening=opening, closing=closing), what="it")

    assert found["metadata"] == {"name": "x"}
    orjson.dumps(found)  # what is left can be written too


def test_the_envelopes_of_events_and_lists_are_read_around_a_deep_object() -> None:
    """The other items of the list, and the lines that follow, are as they were."""
    event = decode_text(
        EVENT_DECODER.decode, b'{"type":"ADDED","object":' + _nested(5000) + b"}", what="it"
    )
    page = decode_text(
        LIST_DECODER.decode,
        b'{"kind":"L","items":[{"a":1},' + _nested(5000) + b',{"b":"]}"}],"metadata":{}}',
        what="it",
    )

    assert event.type == "ADDED"
    assert [bytes(item) for item in page.items or ()][::2] == [b'{"a":1}', b'{"b":"]}"}']


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(_nested(DEEPEST - 2), id="just deep enough"),
        pytest.param(b'{"a":"' + b"{" * 5000 + b'"}', id="braces in a text"),
        pytest.param(b'{"a":"\\"' + b"[" * 5000 + b'"}', id="after an escaped quote"),
        pytest.param(b'{"a":"' + b"\\\\" * 5000 + b'"}', id="backslashes"),
    ],
)
def test_what_can_be_read_is_left_alone(text: bytes) -> None:
    """Nothing is cut that is not too deep."""
    assert without_depths(text) is None


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"a":' * 5000, b"}" * 5000, b'"' * 5001])
def test_what_is_no_object_is_refused_as_ever(text: bytes) -> None:
    """Cutting repairs nothing."""
    with pytest.raises(ProtocolError):
        decode_text(decode_object, text, what="it")
