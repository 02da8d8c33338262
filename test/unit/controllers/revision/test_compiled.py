"""The compiled revisions of the process, and what is counted of them."""

from __future__ import annotations

from kro.controllers.revision import CompiledRevisions, Entry, State

PENDING, ACTIVE, FAILED = State.PENDING, State.ACTIVE, State.FAILED


def test_every_change_of_an_entry_is_told() -> None:
    """Gauges and transitions follow from these calls alone."""
    moves: list[tuple[State | None, State | None]] = []
    compiled = CompiledRevisions(moved=lambda before, after: moves.append((before, after)))

    compiled.put("shop", Entry(1, "a", PENDING))
    compiled.put("shop", Entry(1, "a", ACTIVE))
    compiled.put("shop", Entry(2, "b", FAILED))
    compiled.forget("shop", 1)
    compiled.forget("shop", 1)
    compiled.forget_all("shop")
    compiled.forget_all("shop")

    assert moves == [
        (None, PENDING),
        (PENDING, ACTIVE),
        (None, FAILED),
        (ACTIVE, None),
        (FAILED, None),
    ]


def test_entries_are_kept_by_definition_and_number() -> None:
    """One definition's revisions are none of another's."""
    compiled = CompiledRevisions()
    compiled.put("shop", Entry(1, "a", ACTIVE))
    compiled.put("cart", Entry(1, "b", FAILED))

    compiled.forget_all("shop")

    assert compiled.get("shop", 1) is None
    assert compiled.get("cart", 1) == Entry(1, "b", FAILED)
    assert compiled.get("cart", 2) is None
