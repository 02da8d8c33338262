"""Plurals name CRDs: a wrong one is another CRD."""

from __future__ import annotations

import pytest

from kro.schema import plural


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("WebApplication", "webapplications"),
        ("NetworkPolicy", "networkpolicies"),
        ("Gateway", "gateways"),
        ("Demo", "demoes"),
        ("AppIndex", "appindices"),
        ("Redis", "redis"),
        ("Media", "media"),
        ("Medium", "media"),
        ("API", "apis"),
        ("Toe", "toes"),
        ("TipToe", "tiptoes"),
        ("DNS", "dns"),
    ],
)
def test_plural_of_a_kind(kind: str, name: str) -> None:
    """Dictionary, known plurals, acronyms, compounds, suffixes, in this order."""
    assert plural(kind) == name


def test_acronyms_in_s_get_a_legal_name() -> None:
    """Kro (Go) makes `dnsDNSes` of them, which no API server takes."""
    for kind in ("AES", "BSS", "HTTPS", "IDS", "IPS"):
        assert plural(kind) == kind.lower()
