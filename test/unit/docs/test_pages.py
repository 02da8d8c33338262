"""README.md and docs/: what they show works, what they link to is there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from kro.metrics.catalogue import FAMILIES
from kro.settings import Settings
from support.documents import commands, tables
from support.documents.blocks import CLASSES, ROOT, Block, Page, Table, pages
from support.documents.reader import Reader

PAGES = [pytest.param(page, id=str(page.path.relative_to(ROOT))) for page in pages()]
OTHERS = [
    pytest.param(Page(path), id=str(path.relative_to(ROOT)))
    for pattern in ("*.md", "examples/**/*.md", "helm/*.md", "test/**/*.md")
    for path in sorted(ROOT.glob(pattern))
    if path != ROOT / "README.md"
]
"""Further pages that people read; what they show is up to the tests of their folders."""
COMMANDS = ("kro ", ".venv/bin/kro ", "kubectl ", "helm ", "hack/")


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_works(page: Page, tmp_path: Path) -> None:
    """Every fenced block has a class, and what holds for its class holds for it."""
    problems = list(Reader(page, tmp_path).problems())

    assert not problems, "\n\n".join(problems)


@pytest.mark.parametrize("page", [*PAGES, *OTHERS])
def test_links_lead_somewhere(page: Page) -> None:
    """Files exist, and headings that are linked to exist in them."""
    broken = []
    for line, target in page.links:
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        if not path.exists() or not path.is_relative_to(ROOT):
            broken.append(f"{line}: {target}")
        elif anchor and anchor not in Page(path).anchors:
            broken.append(f"{line}: {target} (no such heading)")

    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_commands_within_sentences_exist(page: Page, tmp_path: Path) -> None:
    """Commands, flags, scripts and kinds that a sentence names are there."""
    reader = Reader(page, tmp_path)
    reader.skim()
    wrong = [
        f"{line}: `{code}`: {problem}"
        for line, code in page.code
        if code.startswith(COMMANDS)
        for problem in commands.problems(code, tmp_path, reader.kinds)
        if not problem.startswith("there is no file")
    ]

    assert not wrong


@pytest.mark.parametrize("page", PAGES)
def test_tables_say_what_the_code_says(page: Page) -> None:
    """Flags, values, metrics, markers, labels: none is missing, none is made up."""
    wrong = [
        f"{page.path.name}:{table.line} ({table.name}): {problem}"
        for table in page.tables
        for problem in tables.problems(table)
    ]

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", PAGES)
def test_figures_beside_flags_are_their_defaults(page: Page) -> None:
    """Where a sentence says `1,000 objects (--flag)`, the flag's default is 1000."""
    defaults = {f"--{flag.metadata['flag']}": flag.default for flag in fields(Settings)}
    text = " ".join(line for _, line in page.prose)
    found = re.findall(r"\b([\d,]+) [a-z ]+\(`(--[a-z-]+)`\)", text)

    wrong = [pair for pair in found if float(pair[0].replace(",", "")) != defaults[pair[1]]]

    assert not wrong


def test_every_metric_has_a_row() -> None:
    """Each section of the catalogue is a table, which the rule above holds to be whole."""
    rows = {row[0] for table in Page(ROOT / "docs" / "metrics.md").tables for row in table.rows}

    assert rows == set(FAMILIES)


def test_every_alert_has_a_row() -> None:
    """Whoever is woken by an alert finds it."""
    rules = (ROOT / "config" / "prometheus" / "rules.yaml").read_text(encoding="utf-8")
    alerts = {rule["alert"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]}
    rows = {row[0] for table in Page(ROOT / "docs" / "alerts.md").tables for row in table.rows}

    assert rows == alerts


def test_every_page_is_in_the_index() -> None:
    """Whoever opens docs/ finds every page."""
    index = Page(ROOT / "docs" / "README.md")
    linked = {target.partition("#")[0] for _, target in index.links}

    missing = {path.name for path in (ROOT / "docs").glob("*.md")} - linked - {"README.md"}

    assert not missing


@pytest.mark.parametrize(
    ("info", "text", "problem"),
    [
        pytest.param("yaml", "a: 1\n", "no such class", id="no class"),
        pytest.param("yaml rgd", "kind: ConfigMap\n", "not a Resource", id="no definition"),
        pytest.param("yaml wrong", "a: 1\n", "does not say which file", id="no file"),
        pytest.param(
            "yaml manifest",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndate: {}\n",
            "no field date",
            id="misspelt field",
        ),
        pytest.param("yaml excerpt LICENSE", "x\n", "there is no LICENSE", id="no such file"),
        pytest.param("yaml resource", "[]\n", "no `yaml schema` above", id="no schema"),
        pytest.param("console", "$ ls\n", "only kro runs", id="another program"),
        pytest.param("console", "$ kro version\nnine\n", "printed:", id="another output"),
        pytest.param("console", "$ kro validate nothing.yaml\n", "exit code", id="failure"),
        pytest.param("console checked", "$ kubectl gett pods\n", "no command", id="verb"),
        pytest.param("console checked", "$ kubectl get podz\n", "no kind podz", id="kind"),
        pytest.param("console checked", "$ kro validate --fast a\n", "no flag", id="flag"),
        pytest.param("console checked", "$ helm install -f no.yaml\n", "no file", id="file"),
        pytest.param("console checked", "$ hack/nothing\n", "there is no hack", id="script"),
        pytest.param("console checked", "$ kro version\n1\n", "nobody ran it", id="not run"),
        pytest.param("cel", "1 + 1 // 3\n", "('value', '2')", id="another value"),
        pytest.param("cel", "1 + 1\n", "says nothing", id="no result"),
        pytest.param("text message", "all is lost\n", "no code says", id="message"),
        pytest.param("promql query", "rate(kro_nothing_total[5m])\n", "no metric", id="metric"),
    ],
)
def test_what_does_not_work_is_found(info: str, text: str, problem: str, tmp_path: Path) -> None:
    """The harness itself: each class refuses what is wrong with it."""
    page = Page(ROOT / "README.md")
    reader = Reader(page, tmp_path)

    problems = list(reader._problems(Block(page.path, 1, info, text)))

    assert any(problem in found for found in problems), problems


@pytest.mark.parametrize(
    ("name", "row", "problem"),
    [
        pytest.param("nothing", ("a",), "there is no rule nothing", id="no rule"),
        pytest.param("flags", ("--leader-elect", "true", ""), "'false'", id="another default"),
        pytest.param("flags", ("--fast", "", ""), "no flag --fast", id="no such flag"),
        pytest.param("gates", ("Speed", ""), "no feature gate Speed", id="no such gate"),
        pytest.param("values", ("image.tagg", '""', ""), "no value image.tagg", id="no such value"),
        pytest.param("values", ("rbac.mode", '"none"', ""), '"unrestricted"', id="other value"),
        pytest.param("labels", ("kro.run/owner", ""), "no label kro.run/owner", id="no such label"),
        pytest.param("markers", ("`format`", "", "", ""), "format", id="no such marker"),
        pytest.param("commands", ("kro fly", ""), "no command kro fly", id="no such command"),
        pytest.param("conditions", ("Fine", "True", "Ready", ""), "Fine", id="no such condition"),
        pytest.param("messages", ("all is lost", ""), "all is lost", id="no such message"),
        pytest.param("metrics", ("kro_speed", "gauge", "", ""), "begins with", id="no metric"),
        pytest.param("alerts", ("KroFast", "", "", "", ""), "begins with", id="no such alert"),
        pytest.param("reserved", ("kro", "`nothing`"), "nothing", id="no such word"),
    ],
)
def test_a_table_that_says_something_else_is_found(
    name: str, row: tuple[str, ...], problem: str
) -> None:
    """The rules of tables: each finds a row that is wrong."""
    table = Table(ROOT / "README.md", 1, name, (row,))

    assert any(problem in found for found in tables.problems(table))


def test_every_class_has_a_rule() -> None:
    """The list that authors read and the rules that are applied are the same."""
    from support.documents.reader import _RULES

    assert set(_RULES) == set(CLASSES)
