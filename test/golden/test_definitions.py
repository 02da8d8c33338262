"""Definitions as platform teams write them, and the manifests that come of them.

Each `definitions/<name>.yaml` has a definition, an instance, and CRDs where it uses such; what
`kro render` makes of them stands in `definitions/<name>.txt`. An output that has become better on
purpose is written anew by `KRO_UPDATE_GOLDEN=1 pytest test/golden`; read it as its reader would.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kro.cli.app import run_app

FOLDER = Path(__file__).parent / "definitions"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_definition_is_valid_and_makes_these_manifests(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is remarked, no field is lost, no text is changed that is no expression."""
    file = str(FOLDER / f"{name}.yaml")

    assert run_app(["validate", file]) == 0
    assert capsys.readouterr().err == ""
    assert run_app(["render", file]) == 0

    shown = capsys.readouterr()
    golden = FOLDER / f"{name}.txt"
    if os.environ.get("KRO_UPDATE_GOLDEN"):
        golden.write_text(shown.out)
    assert (shown.err, shown.out) == ("", golden.read_text())
