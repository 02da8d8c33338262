"""Examples without a cluster: what their pages print is what the command line prints."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kro.cli.app import run_app
from support.documents.blocks import ROOT, Page
from support.documents.reader import Reader

FOLDER = ROOT / "examples"
EXAMPLES = sorted(path.parent for path in FOLDER.glob("*/rgd.yaml"))
PARTS = ("## Try it", "## Change it", "## Clean up", "## Without a cluster")


def files(example: Path) -> list[str]:
    """Return the arguments with which the command line is given a whole example."""
    crds = ["--crds", str(example / "crds")] if (example / "crds").exists() else []
    return [*crds, "-f", str(example / "rgd.yaml"), "-f", str(example / "instance.yaml")]


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.name)
def example(request: pytest.FixtureRequest) -> Path:
    """The folder of one example."""
    found: Path = request.param
    return found


def test_definition_and_instance_are_valid(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`kro validate` accepts all of it and has nothing to remark."""
    code = run_app(["validate", *files(example)])

    shown = capsys.readouterr()
    assert (code, shown.err) == (0, "")
    assert all(line.partition(": ")[2] for line in shown.out.splitlines())


def test_crd_can_be_generated(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is a CRD for each definition, of the kind that the instances have."""
    code = run_app(["generate", "crd", *files(example)])

    shown = capsys.readouterr()
    crds = list(yaml.safe_load_all(shown.out))
    definitions = list(yaml.safe_load_all((example / "rgd.yaml").read_text()))
    instances = list(yaml.safe_load_all((example / "instance.yaml").read_text()))
    assert (code, shown.err) == (0, "")
    kinds = {crd["spec"]["names"]["kind"] for crd in crds}
    assert kinds == {rgd["spec"]["schema"]["kind"] for rgd in definitions}
    assert kinds >= {instance["kind"] for instance in instances}


def test_instance_can_be_rendered(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every example makes something, and what it makes can be read before it is made."""
    shared = example / "shared.yaml"
    observed = ["--observed", str(shared)] if shared.exists() else []

    code = run_app(["render", *files(example), *observed])

    shown = capsys.readouterr()
    objects = [found for found in yaml.safe_load_all(shown.out) if found]
    assert (code, shown.err) == (0, "")
    assert objects
    assert all(found["metadata"]["name"] for found in objects)


def test_page_is_complete_and_true(example: Path, tmp_path: Path) -> None:
    """Its parts stand in one order; `kro` prints what is shown; all other fences are known."""
    page = Page(example / "README.md")

    headings = [line for _, line in page.prose if line in PARTS]
    problems = list(Reader(page, tmp_path).problems())

    assert sorted(headings) == sorted(PARTS)
    assert not problems, "\n\n".join(problems)


def test_every_file_is_on_the_page(example: Path) -> None:
    """What lies in a folder is used: a command, a link or a sentence names it."""
    page = (example / "README.md").read_text()
    names = {path.relative_to(example).parts[0] for path in example.rglob("*") if path.is_file()}

    assert {name for name in names if name not in page} <= {"README.md"}


def test_links_lead_somewhere(example: Path) -> None:
    """Files that a page links to are there."""
    targets = [target for _, target in Page(example / "README.md").links]

    local = [target for target in targets if not target.startswith("https://")]
    assert [target for target in local if not (example / target).exists()] == []


def test_every_example_is_in_the_index() -> None:
    """Whoever opens examples/ finds each of them once."""
    linked = [target for _, target in Page(FOLDER / "README.md").links]

    assert sorted(linked) == [example.name for example in EXAMPLES]


def test_converted_example_is_what_convert_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """The committed definition is the former manifest's, to the last character."""
    folder = FOLDER / "converted"

    code = run_app(["convert", "-f", str(folder / "resourcegroup.yaml")])

    shown = capsys.readouterr()
    assert (code, shown.err) == (0, "")
    assert shown.out == (folder / "rgd.yaml").read_text()


def test_omit_is_valid_with_its_gate_only(capsys: pytest.CaptureFixture[str]) -> None:
    """The page says which gate is needed, and it is."""
    folder = FOLDER / "conditional-database" / "omit"

    with_gate = run_app(["validate", "--feature-gates", "CELOmitFunction=true", *files(folder)])
    assert (with_gate, capsys.readouterr().err) == (0, "")
    assert run_app(["validate", *files(folder)]) == 1
