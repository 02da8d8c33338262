from __future__ import annotations

import resource

import pytest

from kro.runtime.open_files import RESERVED, TooFewFilesError, watch_budget

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "budget", "raised_to"),
    [
        pytest.param(1024, 4096, 600, None, id="enough"),
        pytest.param(256, 4096, 600, 600 + RESERVED, id="raised"),
        pytest.param(256, UNLIMITED, 600, 600 + RESERVED, id="raised without a bound"),
        pytest.param(128, 400, 400 - RESERVED, 400, id="raised as far as it goes"),
        pytest.param(UNLIMITED, UNLIMITED, 600, None, id="unlimited"),
    ],
)
def test_watches_leave_room_for_everything_else(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, budget: int, raised_to: int | None
) -> None:
    """P-155, F-21."""
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, to: set_to.append(to))

    assert watch_budget(600) == budget
    assert set_to == ([] if raised_to is None else [(raised_to, hard)])


def test_too_few_files_are_an_error_that_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """F-21."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 128))
    monkeypatch.setattr(resource, "setrlimit", lambda _, to: None)

    with pytest.raises(TooFewFilesError, match="only 128 open files; allow it 192 at least"):
        watch_budget(600)
