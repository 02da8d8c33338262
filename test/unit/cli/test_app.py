from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from kro.cli.app import COMMANDS, parser_of, run_app
from kro.cli.completion import SCRIPTS, candidates

ROOT = Path(__file__).parents[3]
WEBAPP = ROOT / "examples" / "webapp"


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["help"], ["generate"], ["validate"], ["-h"]]
)
def test_help_is_no_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`kro`, `kro generate` and `kro validate` alone print help, as in kro (Go)."""
    assert run_app(arguments) == 0
    assert "usage: kro" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "controller"])
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And takes the flags that kro (Go) has everywhere where they could matter."""
    assert run_app([*name.split(), "--help"]) == 0
    assert f"usage: kro {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["generate", "nonsense"],
        ["--nonsense"],
        ["validate", "--nonsense", "x"],
        ["validate", "rgd"],
        ["validate", "/nowhere/at/all.yaml"],
        ["validate", str(WEBAPP), "-o", "xml"],
        ["validate", str(WEBAPP), "--feature-gates", "Nonsense=true"],
        ["generate", "crd"],
        ["render"],
        ["convert"],
        ["completion", "tcsh"],
        ["cel", "x", "--var", "nonsense"],
        ["cel", "x", "--var", "1x=y"],
        ["cel", "x", "--value", "n={"],
    ],
)
def test_wrong_command_line_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With a message on the standard error, and no traceback."""
    assert run_app(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(("kro: ", "usage: "))
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "rgd", "-f", "rgd.yaml"],
        ["validate", "rgd", "--file", "rgd.yaml"],
        ["generate", "crd", "-f", "rgd.yaml", "-o", "yaml"],
        ["generate", "crd", "--file", "rgd.yaml", "--format", "json"],
        ["generate", "instance", "-f", "rgd.yaml", "-o", "json"],
        ["generate", "diagram", "-f", "rgd.yaml", "-o", "yaml"],
        ["--context", "c", "--kubeconfig", "k", "--verbose", "validate", "rgd", "-f", "rgd.yaml"],
        ["validate", "rgd", "--context", "c", "--verbose", "-f", "rgd.yaml"],
    ],
)
def test_language_of_kro_go_works(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scripts written for it need no change, and no cluster."""
    monkeypatch.chdir(WEBAPP)

    assert run_app(arguments) == 0
    assert capsys.readouterr().err == ""


def test_standard_input_is_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the name `-`; errors call it <stdin>."""
    data = (WEBAPP / "rgd.yaml").read_bytes().replace(b"schema.spec.image", b"schema.spec.imagee")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    assert run_app(["validate", "-"]) == 1
    assert "<stdin>:48:" in capsys.readouterr().err


def test_files_may_stand_before_and_behind_options(capsys: pytest.CaptureFixture[str]) -> None:
    """As with other tools."""
    rgd, instance = str(WEBAPP / "rgd.yaml"), str(WEBAPP / "instance.yaml")

    assert run_app(["validate", rgd, "-o", "text", instance]) == 0
    assert capsys.readouterr().out.count("is valid") == 2


def test_reader_that_goes_away_is_no_traceback() -> None:
    """`kro … | head` ends quietly."""
    command = f"{sys.executable} -m kro generate diagram -f {WEBAPP / 'rgd.yaml'} | head -c 1"

    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert "Traceback" not in done.stderr


def test_validate_imports_neither_the_runtime_nor_heavy_libraries() -> None:
    """Start-up time is what the user waits for."""
    script = (
        "import sys; from kro.cli.app import run_app; "
        f"run_app(['validate', {str(WEBAPP)!r}]); "
        "heavy = {'asyncio', 'aiohttp', 'pydantic', 'typer', 'celpy', 'lark', 'kubernetes_asyncio',"
        " 'structlog', 'prometheus_client', 'kro.runtime', 'kro.controllers'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([""], {"validate", "generate", "render", "controller"}),
        (["gen"], {"generate"}),
        (["generate", ""], {"crd", "instance", "diagram"}),
        (["generate", "d"], {"diagram"}),
        (["validate", "--cr"], {"--crds"}),
        (["generate", "crd", "-o", ""], {"yaml", "json"}),
        (["generate", "diagram", "--format", "m"], {"mermaid"}),
        (["completion", "z"], {"zsh"}),
    ],
)
def test_completion_offers_what_may_come_next(words: list[str], found: set[str]) -> None:
    """Commands, options and formats; files are left to the shell."""
    assert found <= set(candidates(words))
    assert all(word.startswith(words[-1]) for word in candidates(words))


def test_completion_leaves_files_to_the_shell() -> None:
    """Nothing is offered where a file belongs."""
    assert candidates(["validate", "-f", ""]) == []
    assert candidates(["controller", ""]) == []


def test_bash_takes_its_completion_script() -> None:
    """The script defines the function and registers it."""
    done = subprocess.run(
        ["bash", "-n"], input=SCRIPTS["bash"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_parsers_know_their_formats() -> None:
    """Completion and messages name the same ones."""
    assert parser_of("render")[0].get_default("formats") == ("yaml", "json")


def test_convert_writes_the_file_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without `--write` the file stays, and a second run finds nothing to do."""
    file = tmp_path / "group.yaml"
    before = (
        "apiVersion: kro.run/v1alpha1\nkind: ResourceGroup  # old\nmetadata: {name: x}\n"
        "spec:\n  schema: {apiVersion: v1, kind: X}\n  resources: []\n"
    )
    after = before.replace("ResourceGroup", "ResourceGraphDefinition")
    file.write_text(before)

    assert run_app(["convert", str(file)]) == 0
    assert (capsys.readouterr().out, file.read_text()) == (after, before)
    assert run_app(["convert", "--write", str(file)]) == 0
    assert (capsys.readouterr().out, file.read_text()) == ("", after)
    assert run_app(["convert", "--write", str(file)]) == 0
    assert "stays as it is" in capsys.readouterr().err


def test_version_names_the_built_in_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    """Which Kubernetes the offline verdicts are about."""
    assert run_app(["version"]) == 0
    assert "(Kubernetes v1." in capsys.readouterr().out


def test_generated_crds_are_one_list_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Several manifests are several YAML documents, or a List that kubectl takes."""
    files = ["-f", str(WEBAPP / "rgd.yaml"), "-f", str(ROOT / "examples" / "argocd")]

    assert run_app(["generate", "crd", "-o", "json", *files]) == 0
    assert '"kind": "List"' in capsys.readouterr().out
    assert run_app(["generate", "crd", *files]) == 0
    assert capsys.readouterr().out.count("\n---\n") == 1
