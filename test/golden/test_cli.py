"""Command lines, and all that their user sees.

Each folder of `cli/` is one: `command` holds the arguments, the other files are its input, and
`output.txt` the exit code, the standard output and the standard error. An output that has become
better on purpose is written anew by `KRO_UPDATE_GOLDEN=1 pytest test/golden`; read it as its
reader would.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from kro import __version__
from kro.cli.app import run_app

FOLDER = Path(__file__).parent / "cli"


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir() if path.is_dir()))
def test_command_prints_what_its_user_should_see(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Verdicts go to the standard output, what is wrong to the standard error, with its place."""
    folder = FOLDER / name
    monkeypatch.chdir(folder)

    code = run_app(shlex.split((folder / "command").read_text()))

    shown = capsys.readouterr()
    text = f"exit code {code}\n==== stdout\n{shown.out}==== stderr\n{shown.err}"
    text = text.replace(f"cli-version: {__version__}", "cli-version: <version>")
    text = text.replace(f'cli-version": "{__version__}', 'cli-version": "<version>')
    golden = folder / "output.txt"
    if os.environ.get("KRO_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
