"""Files that are made from others are what they would be made to be now."""

from __future__ import annotations

import subprocess

from support.operator import ROOT


def test_what_needs_no_helm_is_up_to_date() -> None:
    """The chart's copies of the CRDs, its table of values, the locks of the image."""
    check = [str(ROOT / "hack" / "generate"), "--check", "--no-helm"]

    done = subprocess.run(check, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
