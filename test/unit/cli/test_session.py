from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from kro.cli.app import run_app
from kro.cli.prompt import prompt, run_line
from kro.cli.session import Session

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 2}
"""


@pytest.fixture
def deployment(tmp_path: Path) -> str:
    file = tmp_path / "deployment.yaml"
    file.write_text(DEPLOYMENT)
    return str(file)


def test_objects_of_built_in_kinds_are_typed(
    deployment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By their schema, so that a misspelt field is found."""
    assert run_app(["cel", "d.spec.replicas + 1", "--var", f"d={deployment}"]) == 0
    assert capsys.readouterr().out == "3\n"
    assert run_app(["cel", "d.spec.replica", "--var", f"d={deployment}"]) == 1
    assert "did you mean" in capsys.readouterr().err


def test_type_is_told_without_a_value(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A schema is enough for that."""
    schema = tmp_path / "schema.yaml"
    schema.write_text("type: object\nproperties: {count: {type: integer}}\n")

    assert run_app(["cel", "[x.count]", "--schema", f"x={schema}", "--type"]) == 0
    assert capsys.readouterr().out == "list(int)\n"
    assert run_app(["cel", "x.count", "--schema", f"x={schema}"]) == 1
    assert "pending" in capsys.readouterr().err


def test_several_documents_are_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a collection is."""
    file = tmp_path / "all.yaml"
    file.write_text(f"{DEPLOYMENT}---\n{DEPLOYMENT.replace('2', '5')}")

    assert run_app(["cel", "all.map(d, d.spec.replicas)", "--var", f"all={file}"]) == 0
    assert capsys.readouterr().out == "[\n  2,\n  5\n]\n"
    assert run_app(["cel", "all", "--var", f"all={file}", "--type"]) == 0
    assert capsys.readouterr().out.startswith("list(")


def test_text_with_templates_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """As a string in a definition."""
    assert run_app(["cel", "a-${x}-${string(1 + 1)}", "--value", 'x="b"']) == 0
    assert capsys.readouterr().out == '"a-b-2"\n'


def test_expression_comes_from_the_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When there is none on the command line, or `-`."""
    for arguments in (["cel"], ["cel", "-"]):
        monkeypatch.setattr(sys, "stdin", io.StringIO("1 +\n  2\n"))
        assert run_app(arguments) == 0
        assert capsys.readouterr().out == "3\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert run_app(["cel"]) == 2


def test_trace_shows_every_step_and_the_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """Values on the standard output, the way to them on the standard error."""
    assert run_app(["cel", "1 / (n - 1)", "--value", "n=1", "--trace"]) == 1
    shown = capsys.readouterr()
    assert "(n - 1)  =>  0" in shown.err
    assert "error: division by zero" in shown.err
    assert shown.out == ""


def test_prompt_keeps_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """`:let` defines, `:vars` lists, errors do not end it."""
    session = Session()

    for line in (":let a = 1 + 1", "a * 3", "nope", ":type a + 1", ":vars", ":bogus", ":let x"):
        run_line(session, line, "json")

    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        "6",
        "int",
        "a: dyn",
        "there is no command :bogus; :help lists them",
        "write :let NAME = EXPR",
    ]
    assert "nope" in shown.err


def test_prompt_ends_with_its_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-D is the usual way out."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("1 + 1\n:help\n"))

    assert prompt(Session(), "json") == 0
    assert "2\n" in capsys.readouterr().out
