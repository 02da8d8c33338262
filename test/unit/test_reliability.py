"""docs/reliability.md tells the truth: what it names exists, and nothing is left out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ([PF]-\d+) \| (.+?) \| (.*?) \| (.*?) ?\|$", re.MULTILINE)
NO_TEST = "—"


def rows() -> dict[str, tuple[str, str]]:
    """Return what holds each promise, and the remark beside it."""
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    return {key: (held, remark) for key, _, held, remark in ROW.findall(text)}


def test_every_test_that_is_named_exists() -> None:
    """A renamed or deleted test must be missed here."""
    missing = []
    for key, (held, _) in rows().items():
        for name in held.split(" · ") if held != NO_TEST else ():
            path, _, function = name.partition("::")
            file = ROOT / "test" / path
            if not file.is_file() or function not in _functions(file):
                missing.append(f"{key}: {name}")

    assert missing == []


def test_no_test_is_named_twice_for_one_promise() -> None:
    """Nor does a cell run into the next one."""
    named = {key: held.split(" · ") for key, (held, _) in rows().items()}

    assert [key for key, names in named.items() if len(set(names)) < len(names)] == []
    assert [key for key, names in named.items() if any("|" in name for name in names)] == []


def test_every_promise_has_a_row() -> None:
    """P-001 to P-156 and F-01 to F-74, each with a test or with the reason why it has none."""
    wanted = [f"P-{at:03d}" for at in range(1, 157)] + [f"F-{at:02d}" for at in range(1, 75)]
    found = rows()

    assert list(found) == wanted
    assert [key for key, (held, remark) in found.items() if held == NO_TEST and not remark] == []


def test_the_faults_that_must_be_automated_are() -> None:
    """F-01 to F-35 and F-50 to F-73, the longer ones with shortened clocks or sizes."""
    found = rows()
    wanted = [f"F-{at:02d}" for at in (*range(1, 36), *range(50, 74))]

    assert [key for key in wanted if found[key][0] == NO_TEST] == []


def _functions(file: Path) -> set[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {
        each.name for each in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(each, kinds)
    }  # fmt: skip
