"""The one place that compares resource versions.

A resource version is opaque: equal or not. Only where a question of age must be answered, and only
between versions of one resource, may it be read as a decimal number, and the answer may be
*unknown*.

Source: spec "Controller runtime" P-012; KEP-5504 (comparable resource versions).
"""

from __future__ import annotations


def at_least(version: str, other: str) -> bool | None:
    """Tell whether `version` is as new as `other` or newer; None when that cannot be known."""
    if version == other:
        return True
    if not (_is_number(version) and _is_number(other)):
        return None
    return (len(version), version) > (len(other), other)


def _is_number(version: str) -> bool:
    return version.isascii() and version.isdigit() and version[0] != "0"
