"""Broken definitions and the text that their author sees.

Each `errors/<name>.yaml` has its text in `errors/<name>.txt`. A text that has become better on
purpose is written anew by `KRO_UPDATE_GOLDEN=1 pytest test/golden`; read it as its reader would.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from kro.errors import AuthorErrors
from kro.graph import build
from kro.graph.problems import each
from kro.schema import BundledSchemas

FOLDER = Path(__file__).parent / "errors"
SCHEMAS = BundledSchemas()


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_author_sees_every_error_with_its_place(name: str) -> None:
    """All errors of a definition come at once, each with path, problem and, where near, a hint."""
    definition = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())

    with pytest.raises(AuthorErrors) as caught:
        build(definition["metadata"]["name"], definition.get("spec"), SCHEMAS)

    text = str(caught.value) + "\n"
    golden = FOLDER / f"{name}.txt"
    if os.environ.get("KRO_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
    assert all(error.path for error in each(caught.value))
