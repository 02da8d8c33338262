"""The comparison that docs/performance.md shows is that of the recorded results."""

from __future__ import annotations

import subprocess
import sys

from support.operator import ROOT

BENCH = ROOT / "test" / "bench"


def test_table_is_what_the_recorded_results_give() -> None:
    """Who measures anew writes the table anew, with the command that makes it."""
    compare = [sys.executable, str(BENCH / "compare.py"), "--markdown"]
    files = [str(BENCH / f"{name}.json") for name in ("kro-go-tuned", "kro-python")]
    done = subprocess.run([*compare, *files], capture_output=True, text=True, check=True)

    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(table) > 30
    assert "\n".join(table) in (ROOT / "docs" / "performance.md").read_text()
