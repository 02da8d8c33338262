"""Base64 and hashes: `base64.encode`, `base64.decode`, `hash.sha256`, `hash.md5`, `hash.fnv64a`.

Source: cel-go `ext/encoders` and kro's `hash` library; spec: cel.md §2.8, §2.10.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final

from kro.cel.budget import charge
from kro.cel.celtypes import BYTES, STRING
from kro.cel.failures import Failure
from kro.cel.functions import Library, free, function

_PADDED: Final = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_NO_LINE_BREAKS: Final = {ord("\r"): None, ord("\n"): None}
_FNV64_OFFSET: Final = 0xCBF29CE484222325
_FNV64_PRIME: Final = 0x100000001B3
_MASK64: Final = 2**64 - 1


def encode_base64(raw: bytes) -> str:
    """Return the bytes in standard base64, padded."""
    charge(len(raw) * 2)
    return base64.b64encode(raw).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Return the bytes of standard base64, padded or not; line breaks are ignored.

    Raises:
        Failure: the text is none.
    """
    charge(len(text))
    compact = text.translate(_NO_LINE_BREAKS)
    if not _PADDED.fullmatch(compact):
        found = re.match(r"[A-Za-z0-9+/]*", compact)
        raise _illegal(found.end() if found else 0)
    digits = compact.rstrip("=")
    padding = len(compact) - len(digits)
    if len(digits) % 4 == 1 or padding not in (0, -len(digits) % 4):
        raise _illegal(len(digits))
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except binascii.Error as error:
        raise _illegal(len(digits)) from error


def _illegal(position: int) -> Failure:
    return Failure(f"illegal base64 data at input byte {position}")


def _bytes_of(text: str) -> bytes:
    charge(len(text))
    return text.encode("utf-8", "replace")


def fnv64a(text: str) -> bytes:
    """Return the 64-bit FNV-1a hash of the UTF-8 text, big-endian."""
    charge(len(text))  # this one runs in Python, byte by byte
    value = _FNV64_OFFSET
    for byte in _bytes_of(text):
        value = (value ^ byte) * _FNV64_PRIME & _MASK64
    return value.to_bytes(8, "big")


def sha256(text: str) -> bytes:
    """Return the SHA-256 of the UTF-8 text, 32 bytes."""
    return hashlib.sha256(_bytes_of(text)).digest()


def md5(text: str) -> bytes:
    """Return the MD5 of the UTF-8 text, 16 bytes. A fingerprint, never a protection."""
    return hashlib.md5(_bytes_of(text), usedforsecurity=False).digest()


BASE64: Final = Library(
    "encoders",
    functions=(
        function(
            "base64.encode",
            [free("base64_encode_bytes", BYTES, result=STRING, call=encode_base64)],
        ),
        function(
            "base64.decode",
            [free("base64_decode_string", STRING, result=BYTES, call=decode_base64)],
        ),
    ),
)
HASH: Final = Library(
    "kro.hash",
    functions=(
        function("hash.fnv64a", [free("hash_fnv64a_string", STRING, result=BYTES, call=fnv64a)]),
        function("hash.sha256", [free("hash_sha256_string", STRING, result=BYTES, call=sha256)]),
        function("hash.md5", [free("hash_md5_string", STRING, result=BYTES, call=md5)]),
    ),
)
