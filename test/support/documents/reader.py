"""Follows a page from top to bottom without a cluster, as a reader would.

Files are saved where the page names them, definitions and instances are checked by `kro validate`,
commands of `kro` are run in that folder. What needs a cluster is left to the end-to-end
tests, which take the files from here.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from kro.cel import OMIT, RUNTIME, RUNTIME_VALUE, Environment, Pending
from kro.cli.app import run_app
from kro.errors import AuthorErrors, EvaluationError
from support.documents import commands, manifests, messages
from support.documents.blocks import CLASSES, NAMED, ROOT, Block, Page
from support.documents.transcript import differs, entries

REPOSITORY: Final = ("config", "docs", "examples", "hack", "helm")
"""Folders of the repository that commands and excerpts may name."""
_RGD: Final = {"apiVersion": "kro.run/v1alpha1", "kind": "ResourceGraphDefinition"}
_ENDS: Final = ("error", "compile error", "pending")


class Reader:
    """Reads one page in a folder of its own.

    Args:
        folder: empty; holds what the page saves.
    """

    def __init__(self, page: Page, folder: Path) -> None:
        self.page = page
        self.folder = folder
        self._definitions: dict[str, Path] = {}
        """The kind that a definition generates -> the file of the latest one."""
        self._schema: dict[str, Any] = {}
        for name in REPOSITORY:
            if (ROOT / name).exists():
                (folder / name).symlink_to(ROOT / name)

    def problems(self) -> Iterator[str]:
        """Yield everything on the page that is not as it says."""
        for block in self.page.blocks:
            for problem in self._problems(block):
                yield f"{block.place} ({block.info}): {problem}"

    def skim(self) -> None:
        """Save what the page names and note the kinds that it defines, without checking them."""
        for block in self.page.blocks:
            if block.kind.startswith("yaml") and block.kind != "yaml excerpt":
                path = self.save(block)
                if block.kind == "yaml rgd":
                    self._definitions[path.name] = path

    def save(self, block: Block) -> Path:
        """Write the block to its file, or to one that no page names."""
        path = self.folder / (block.file or f"block-{block.line}.yaml")
        path.write_text(block.text, encoding="utf-8")
        return path

    def _problems(self, block: Block) -> Iterator[str]:
        if block.kind not in CLASSES:
            yield f"no such class; there are {', '.join(sorted(CLASSES))}"
            return
        if block.kind in NAMED and not block.file:
            yield "the block does not say which file it is"
            return
        yield from _RULES[block.kind](self, block)

    @property
    def kinds(self) -> frozenset[str]:
        """Words for the kinds that definitions of this page generate, as kubectl knows them."""
        found = set()
        for path in self._definitions.values():
            for manifest in yaml.safe_load_all(path.read_text()):
                found |= manifests.words_of(manifest)
        return frozenset(found)

    # YAML

    def _rgd(self, block: Block) -> Iterator[str]:
        yield from self._definition(self.save(block))

    def _instance(self, block: Block) -> Iterator[str]:
        output, code = _kro("validate", *self._with_definitions(block))
        if code or " is valid" not in output.splitlines()[-1]:
            yield output

    def _wrong(self, block: Block) -> Iterator[str]:
        output, code = _kro("validate", *self._with_definitions(block))
        if code != 1:
            yield f"is accepted: {output}"

    def _manifest(self, block: Block) -> Iterator[str]:
        yield from manifests.problems(self.save(block).read_text())

    def _values(self, block: Block) -> Iterator[str]:
        yield from manifests.values_problems(self.save(block).read_text())

    def _former(self, block: Block) -> Iterator[str]:
        self.save(block)
        yield from ()

    def _with_definitions(self, block: Block) -> list[str]:
        """Return the files to judge an instance by: the page's definitions, else the examples'."""
        path = self.save(block)
        kinds = {m["kind"] for m in yaml.safe_load_all(block.text) if isinstance(m, dict)}
        found = {kind: file for kind, file in _examples_by_kind().items() if kind in kinds}
        return [*map(str, dict.fromkeys((found | self._definitions).values())), str(path)]

    def _definition(self, path: Path) -> Iterator[str]:
        found = [m for m in yaml.safe_load_all(path.read_text()) if isinstance(m, dict)]
        if not found or any(m.get("kind") != _RGD["kind"] for m in found):
            yield "not a ResourceGraphDefinition"
            return
        kinds = [m["spec"]["schema"]["kind"] for m in found]
        others = [file for kind, file in self._definitions.items() if kind not in kinds]
        output, code = _kro("validate", str(path), *map(str, dict.fromkeys(others)))
        if code:
            yield output
        for kind in kinds:
            self._definitions[kind] = path

    def _part(self, block: Block) -> Iterator[str]:
        content = yaml.safe_load(block.text)
        resources: list[Any] = []
        if block.kind == "yaml schema":
            self._schema = content
        elif not self._schema:
            yield "there is no `yaml schema` above"
            return
        else:
            resources = content
        schema = {"apiVersion": "v1alpha1", "kind": "Sample", **self._schema}
        if not resources:
            schema.pop("status", None)  # what it reads stands in the `yaml resource` below
        rgd = {
            **_RGD,
            "metadata": {"name": "sample"},
            "spec": {"schema": schema, "resources": resources},
        }
        path = self.folder / "sample.yaml"
        path.write_text(yaml.safe_dump(rgd, sort_keys=False))
        yield from self._definition(path)

    def _excerpt(self, block: Block) -> Iterator[str]:
        path = self.folder / block.file
        if not path.is_file():
            yield f"there is no {block.file}"
            return
        wanted = [line.rstrip() for line in block.text.splitlines()]
        there = [line.rstrip() for line in path.read_text().splitlines()]
        for start in range(len(there) - len(wanted) + 1):
            window = there[start : start + len(wanted)]
            depth = min((len(w) - len(w.lstrip()) for w in window if w), default=0)
            shift = min((len(w) - len(w.lstrip()) for w in wanted if w), default=0)
            if [w[depth:] for w in window] == [w[shift:] for w in wanted]:
                return
        yield f"these are no lines of {block.file}"

    # commands

    def _checked(self, block: Block) -> Iterator[str]:
        for entry in entries(block):
            for problem in commands.problems(entry.command, self.folder, self.kinds):
                yield f"line {entry.line}: {problem}"
            if entry.shown:
                yield f"line {entry.line}: nobody ran it, so nothing may be shown below it"

    def _cluster(self, block: Block) -> Iterator[str]:
        entries(block)
        yield from ()

    def _console(self, block: Block) -> Iterator[str]:
        for entry in entries(block):
            words = shlex.split(entry.command)
            if words[0] not in ("kro", ".venv/bin/kro"):
                yield f"line {entry.line}: only kro runs without a cluster: {entry.command}"
                continue
            with chdir(self.folder):
                output, code = _kro(*words[1:])
            if not entry.shown:
                if code:
                    yield f"line {entry.line}: exit code {code}: {output}"
            elif difference := differs(entry.shown, output):
                yield f"line {entry.line}: {entry.command}\n{difference}"


# texts


def _messages(_: Reader, block: Block) -> Iterator[str]:
    for line in block.text.splitlines():
        if line.strip() and not messages.is_said(line.strip()):
            yield f"no code says {line.strip()!r}"


@cache
def _examples_by_kind() -> dict[str, Path]:
    found = {}
    for path in sorted((ROOT / "examples").glob("*/rgd.yaml")):
        for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            found[manifest["spec"]["schema"]["kind"]] = path
    return found


def _kro(*arguments: str) -> tuple[str, int]:
    """Return what a command prints, on both streams, and its exit code."""
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        code = run_app(list(arguments))
    return output.getvalue(), code


# expressions


@cache
def _environment() -> Environment:
    return Environment({"runtime": RUNTIME}, omit=True)


def _examples(_: Reader, block: Block) -> Iterator[str]:
    for line in block.text.splitlines():
        if not line.strip():
            continue
        expression, separator, expected = (part.strip() for part in line.rpartition(" // "))
        if not separator:
            yield f"{line!r} says nothing of what comes of it"
        elif problem := example_problem(expression, expected):
            yield f"{expression}: {problem}"


def example_problem(expression: str, expected: str) -> str:
    """Return how the expression ends differently from what is expected, or nothing.

    A value must be equal to the expected one and of its type; an error must have the text.
    """
    kind, colon, fragment = expected.partition(": ")
    if colon and kind in _ENDS:
        outcome, text = outcome_of(expression)
        return "" if outcome == kind and fragment in text else f"{outcome}: {text}"
    comparison = f"type({expression}) == type({expected}) && dyn({expression}) == dyn({expected})"
    return "" if outcome_of(comparison) == ("value", "True") else str(outcome_of(expression))


def outcome_of(expression: str) -> tuple[str, str]:
    """Return how the expression ends, and its value or the text of its error."""
    try:
        result = _environment().compile(expression).evaluate({"runtime": RUNTIME_VALUE})
    except AuthorErrors as errors:
        return "compile error", str(errors)
    except EvaluationError as error:
        return "error", error.problem
    if isinstance(result, Pending):
        return "pending", result.problem
    return "value", "omit()" if result is OMIT else repr(result)


# queries


def _metrics(_: Reader, block: Block) -> Iterator[str]:
    text = block.text
    known = messages.metric_names()
    for word in re.findall(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+", re.sub(r'"[^"]*"', "", text)):
        stem = re.sub(r"_(bucket|sum|count)$", "", word)
        if word in known or stem in known or word in _PROMQL:
            continue
        yield f"no metric is called {word}"


_PROMQL: Final = frozenset(
    {"histogram_quantile", "label_replace", "max_over_time", "gvr", "from_state", "to_state"}
)

_RULES: Final[dict[str, Callable[[Reader, Block], Iterator[str]]]] = {
    "yaml rgd": Reader._rgd,
    "yaml schema": Reader._part,
    "yaml resource": Reader._part,
    "yaml instance": Reader._instance,
    "yaml wrong": Reader._wrong,
    "yaml manifest": Reader._manifest,
    "yaml values": Reader._values,
    "yaml excerpt": Reader._excerpt,
    "yaml former": Reader._former,
    "console": Reader._console,
    "console cluster": Reader._cluster,
    "console checked": Reader._checked,
    "cel": _examples,
    "text message": _messages,
    "promql query": _metrics,
}
