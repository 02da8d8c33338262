"""A page of Markdown as data: fenced blocks, headings, links, tables, code within sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]

CLASSES: Final = {
    "yaml rgd": "a whole ResourceGraphDefinition; `kro validate` must accept it",
    "yaml schema": "what stands below `spec.schema` of a definition; must be accepted in one",
    "yaml resource": "entries of `spec.resources`, with the schema of the `yaml schema` above",
    "yaml instance": "an object of a kind that a definition above generates; must be accepted",
    "yaml wrong": "a definition or an instance that `kro validate` must refuse",
    "yaml manifest": "objects of other kinds; fields and types must be those of the kind",
    "yaml values": "values of the chart; every path must be one of helm/values.yaml",
    "yaml excerpt": "lines of the named file of the repository or of the page, as they stand there",
    "yaml former": "a manifest of kro 0.1, which a command of the page converts",
    "console": "`$ kro …`: run without a cluster, and what is printed compared",
    "console cluster": "run on a control plane in the order of the page, and compared",
    "console checked": "not run; programs, verbs, flags, files and kinds must exist",
    "cel": "an expression a line and, behind `//`, what comes of it",
    "text message": "a text that the controller prints: it must stand in the code that makes it",
    "promql query": "a query; its metrics must be among those that the controller serves",
}
"""Language and class of a fence -> what holds for it."""

NAMED: Final = frozenset({"yaml excerpt", "yaml wrong", "yaml former"})
"""Classes whose file name must be there."""

_OPEN: Final = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>[^`]*)$")
_HEADING: Final = re.compile(r"^(#{1,6}) +(.*?) *#*$")
_INLINE: Final = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK: Final = re.compile(r"\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")
_CHECKED: Final = re.compile(r"^<!-- checked: (?P<name>[a-z-]+) -->$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    page: Path
    line: int
    """Of the opening fence, from 1."""
    info: str
    text: str

    @property
    def kind(self) -> str:
        """Language and class, as `CLASSES` has them; more is the file's name."""
        words = self.info.split()
        joined = " ".join(words[:2])
        return joined if joined in CLASSES else words[0] if len(words) == 1 else joined

    @property
    def file(self) -> str:
        """The file that a reader would save the block as, or nothing."""
        words = self.info.split()
        return words[2] if len(words) == 3 else ""

    @property
    def place(self) -> str:
        """Where it stands, for people: `docs/cel.md:10`."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose content is compared with the code."""

    page: Path
    line: int
    name: str
    rows: tuple[tuple[str, ...], ...]
    """Without the head; cells without the back-quotes around them."""


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @cached_property
    def text(self) -> str:
        """What stands in the file."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """All fenced blocks, in order.

        Raises:
            AssertionError: a fence is not closed.
        """
        return self._parts[0]

    @cached_property
    def prose(self) -> tuple[tuple[int, str], ...]:
        """The lines outside of fences, with their numbers."""
        return self._parts[1]

    @cached_property
    def _parts(self) -> tuple[tuple[Block, ...], tuple[tuple[int, str], ...]]:
        blocks: list[Block] = []
        prose: list[tuple[int, str]] = []
        inside: list[str] | None = None
        fence, info, start, indent = "", "", 0, 0
        for number, line in enumerate(self.text.splitlines(), 1):
            opened = _OPEN.match(line)
            if inside is None:
                if opened:
                    fence, info, start = opened["fence"], opened["info"].strip(), number
                    indent, inside = len(opened["indent"]), []
                else:
                    prose.append((number, line))
            elif opened and opened["fence"] == fence and not opened["info"]:
                text = "".join(f"{kept[indent:]}\n" for kept in inside)
                blocks.append(Block(self.path, start, info, text))
                inside = None
            else:
                inside.append(line)
        assert inside is None, f"{self.path}:{start}: the fence is not closed"
        return tuple(blocks), tuple(prose)

    @cached_property
    def anchors(self) -> frozenset[str]:
        """The anchors of the headings, as GitHub makes them."""
        found: list[str] = []
        for _, line in self.prose:
            if heading := _HEADING.match(line):
                slug = slug_of(heading[2])
                again = sum(1 for other in found if other == slug)
                found.append(slug)
                if again:
                    found.append(f"{slug}-{again}")
        return frozenset(found)

    @property
    def links(self) -> list[tuple[int, str]]:
        """The targets of all links, with their lines."""
        return [(n, m["target"]) for n, line in self.prose for m in _LINK.finditer(_bare(line))]

    @property
    def code(self) -> list[tuple[int, str]]:
        """Code within sentences, with its lines."""
        return [(n, found[1]) for n, line in self.prose for found in _INLINE.finditer(line)]

    @property
    def tables(self) -> list[Table]:
        """The tables that stand below `<!-- checked: NAME -->`."""
        lines = [*self.prose, (0, "")]
        found = []
        for at, (number, line) in enumerate(lines):
            if not (mark := _CHECKED.match(line)):
                continue
            rows = []
            for _, row in lines[at + 1 :]:
                if row.startswith("|"):
                    rows.append(_cells(row))
                elif rows:
                    break
            found.append(Table(self.path, number, mark["name"], tuple(rows[2:])))
        return found


def pages() -> list[Page]:
    """Return README.md and every page of docs/."""
    return [Page(ROOT / "README.md"), *(Page(p) for p in sorted((ROOT / "docs").glob("*.md")))]


def slug_of(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    text = re.sub(_LINK, r"\g<text>", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def _bare(line: str) -> str:
    """Return the line without code, which may look like a link."""
    return _INLINE.sub(lambda m: m[0] if line[m.start() - 1 : m.start()] == "[" else "``", line)


def _cells(row: str) -> tuple[str, ...]:
    cells = re.split(r"(?<!\\)\|", row.strip().strip("|"))
    return tuple(_plain(cell) for cell in cells)


def _plain(cell: str) -> str:
    text = cell.strip().replace("\\|", "|")
    whole = re.fullmatch(r"`([^`]*)`", text)
    return whole[1] if whole else text
