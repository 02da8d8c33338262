"""The import table of the house: who may use whom, and which library stays in which room."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BOTTOM = frozenset({"errors", "refs", "names", "redaction", "api"})
PURE = BOTTOM | {"schema", "cel", "graph"}
RECORDS = frozenset({"logs", "metrics"})
EVERYTHING = None

MAY_IMPORT: Mapping[str, frozenset[str] | None] = {
    **dict.fromkeys(BOTTOM, BOTTOM),
    "schema": BOTTOM,
    "cel": BOTTOM | {"schema"},
    "graph": BOTTOM | {"schema", "cel"},
    **dict.fromkeys(RECORDS, BOTTOM | RECORDS),
    "runtime": BOTTOM | RECORDS,
    "controllers": PURE | RECORDS | {"runtime"},
    "cli": EVERYTHING,
    "wiring": EVERYTHING,
    "process": EVERYTHING,
    "settings": EVERYTHING,
    "__main__": EVERYTHING,
}
"""Room -> the other rooms of `kro` it may import. `kro` itself holds the version, for anyone."""

IMPURE = frozenset({"asyncio", "aiohttp", "kubernetes_asyncio", "structlog", "prometheus_client"})
NEVER: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(PURE, IMPURE),
    "controllers": frozenset({"aiohttp", "kubernetes_asyncio"}),
}

ONLY_IN: Mapping[str, tuple[str, ...]] = {
    "celpy": ("kro.cel",),
    "pydantic": ("kro.api", "kro.settings"),
    "aiohttp": ("kro.runtime.client", "kro.runtime.server"),
    "kubernetes_asyncio": ("kro.runtime.client.config",),
    "typer": ("kro.cli",),
}

BANNED_NAMES = frozenset({"utils", "util", "common", "helpers", "helper", "base", "misc"})


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module.

    `from kro.cel import check` means `kro.cel.check` where that is a module, else `kro.cel`.
    """

    line: int
    module: str


def imports(source: str, modules: frozenset[str]) -> Iterator[Import]:
    """Yield every module that a source imports, wherever in it: late and typing-only ones too.

    Args:
        source: the text of a module.
        modules: those that `from package import name` may mean by a name.
    """
    for statement in ast.walk(ast.parse(source)):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield Import(statement.lineno, alias.name)
        elif isinstance(statement, ast.ImportFrom):
            origin = "." * statement.level + (statement.module or "")
            for alias in statement.names:
                whole = f"{origin}.{alias.name}"
                yield Import(statement.lineno, whole if whole in modules else origin)


def violations(sources: Mapping[str, str], packages: Iterable[str]) -> list[str]:
    """Return what breaks the table, one line each.

    Args:
        sources: dotted module name -> its text; a package goes by the package's name.
        packages: those of the names that are packages.
    """
    modules, whole = frozenset(sources), frozenset(packages)
    # `from kro.graph import build` means the function where the package exports one of that name.
    meant = modules - {f"{name}.{word}" for name in whole for word in exports(sources[name])}
    found = set()
    for importer, source in sources.items():
        for each in imports(source, meant):
            for problem in _problems(importer, each.module, modules, whole):
                found.add(f"{importer}:{each.line}: {problem}")
    return sorted(found)


def exports(source: str) -> Iterator[str]:
    """Yield the names in a package's `__all__`."""
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in statement.targets
        ):
            yield from ast.literal_eval(statement.value)


def _problems(
    importer: str, imported: str, modules: frozenset[str], packages: frozenset[str]
) -> Iterator[str]:
    room = _room(importer)
    if imported.startswith("."):
        yield f"imports {imported} relatively"
        return
    library = imported.partition(".")[0]
    if library != "kro":
        if library in NEVER.get(room, ()):
            yield f"{room} never imports {library}"
        if library in ONLY_IN and not any(_within(importer, home) for home in ONLY_IN[library]):
            yield f"{library} stays inside {' and '.join(ONLY_IN[library])}"
        return
    if room == "kro":
        yield f"kro itself imports nothing, here {imported}"
        return
    if room not in MAY_IMPORT:
        yield f"{room} has no place in the table"
        return
    target = _room(imported)
    allowed = MAY_IMPORT[room]
    if target not in ("kro", room) and allowed is not None and target not in allowed:
        yield f"{room} must not import {target}, here {imported}"
    if room in ("wiring", "process"):
        return  # the composition root picks concrete classes, wherever they are
    if target != room and imported in modules and imported not in packages:
        package = imported.rpartition(".")[0]
        if package != "kro":
            yield f"{imported} is private to {package}: import what it exports"


def _room(module: str) -> str:
    """Return the first level below `kro`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def _within(module: str, home: str) -> bool:
    return module == home or module.startswith(home + ".")


def read_house() -> tuple[dict[str, str], set[str]]:
    """Return the sources of kro by module name, and which of them are packages."""
    sources, packages = {}, set()
    for path in sorted((ROOT / "kro").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        sources[name] = path.read_text()
        if path.name == "__init__.py":
            packages.add(name)
    return sources, packages


def test_every_import_follows_the_table() -> None:
    """Layers point downwards, packages hide their modules, libraries stay in their rooms."""
    sources, packages = read_house()

    assert len(sources) > 10, "the house was not found"
    assert violations(sources, packages) == []


def test_every_module_is_named_for_what_it_does() -> None:
    """No drawer for odds and ends, and no name that hides a module of the standard library."""
    sources, _ = read_house()
    last = {name: name.rpartition(".")[2] for name in sources}

    assert {name for name, word in last.items() if word in BANNED_NAMES} == set()
    shadows = {
        name
        for name, word in last.items()
        if word in sys.stdlib_module_names and word != "__main__" and name != "kro"
    }
    assert shadows == set()


HOUSE = {
    "kro": "",
    "kro.errors": "",
    "kro.metrics": "",
    "kro.schema": "",
    "kro.cel": "",
    "kro.cel.check": "",
    "kro.graph": "from kro.graph.build import build\n__all__ = ['build']",
    "kro.graph.build": "",
    "kro.graph.dag": "",
    "kro.runtime": "",
    "kro.runtime.client": "",
    "kro.runtime.client.config": "",
    "kro.runtime.server": "",
    "kro.controllers": "",
    "kro.cli": "",
    "kro.wiring": "",
    "kro.process": "",
}
HOUSE_PACKAGES = {
    "kro", "kro.schema", "kro.cel", "kro.graph", "kro.runtime", "kro.runtime.client",
    "kro.controllers", "kro.cli",
}  # fmt: skip


@pytest.mark.parametrize(
    ("importer", "source", "problem"),
    [
        pytest.param(
            "kro.graph", "import asyncio", "graph never imports asyncio", id="loop in the core"
        ),
        pytest.param(
            "kro.schema",
            "def f():\n    import structlog.stdlib",
            "schema never imports structlog",
            id="late import of a submodule",
        ),
        pytest.param(
            "kro.errors",
            "from prometheus_client import Counter",
            "errors never imports prometheus_client",
            id="metrics library at the bottom",
        ),
        pytest.param(
            "kro.schema",
            "from kro.cel import Checked",
            "schema must not import cel, here kro.cel",
            id="upwards",
        ),
        pytest.param(
            "kro.runtime",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from kro.graph import Node",
            "runtime must not import graph, here kro.graph",
            id="runtime on the core, for typing only",
        ),
        pytest.param(
            "kro.runtime",
            "import kro.wiring",
            "runtime must not import wiring, here kro.wiring",
            id="composition root from below",
        ),
        pytest.param(
            "kro.graph",
            "from kro import metrics",
            "graph must not import metrics, here kro.metrics",
            id="a room imported as a name of kro",
        ),
        pytest.param(
            "kro.controllers",
            "from kro.graph.dag import waves",
            "kro.graph.dag is private to kro.graph: import what it exports",
            id="private module of another package",
        ),
        pytest.param(
            "kro.controllers",
            "from kro.graph import dag",
            "kro.graph.dag is private to kro.graph: import what it exports",
            id="private module as a name",
        ),
        pytest.param(
            "kro.controllers", "import aiohttp", "controllers never imports aiohttp", id="wire"
        ),
        pytest.param(
            "kro.wiring",
            "import aiohttp",
            "aiohttp stays inside kro.runtime.client and kro.runtime.server",
            id="wire in the composition root",
        ),
        pytest.param(
            "kro.runtime.client",
            "import kubernetes_asyncio.config",
            "kubernetes_asyncio stays inside kro.runtime.client.config",
            id="credentials library next door",
        ),
        pytest.param("kro.graph", "import celpy", "celpy stays inside kro.cel", id="celpy"),
        pytest.param("kro.wiring", "import typer", "typer stays inside kro.cli", id="typer"),
        pytest.param(
            "kro.errors",
            "from pydantic import BaseModel",
            "pydantic stays inside kro.api and kro.settings",
            id="pydantic",
        ),
        pytest.param("kro.cel", "from . import check", "imports . relatively", id="relative"),
        pytest.param(
            "kro", "from kro.errors import KroError", "kro itself imports nothing", id="kro"
        ),
        pytest.param(
            "kro.extras", "import kro.errors", "extras has no place in the table", id="new room"
        ),
    ],
)
def test_checker_finds_a_violation(importer: str, source: str, problem: str) -> None:
    """A rule that nothing can break proves nothing."""
    found = violations({**HOUSE, importer: source}, HOUSE_PACKAGES)

    assert any(problem in line for line in found), found


@pytest.mark.parametrize(
    ("importer", "source"),
    [
        pytest.param("kro.cel.check", "import celpy.celparser", id="celpy at home"),
        pytest.param("kro.cel.check", "from kro.schema import walk", id="downwards"),
        pytest.param("kro.cel", "from kro.cel.check import check", id="own private module"),
        pytest.param("kro.runtime.client.config", "import kubernetes_asyncio", id="credentials"),
        pytest.param("kro.runtime.server", "from aiohttp import web", id="server"),
        pytest.param("kro.runtime", "import asyncio\nfrom kro import metrics", id="runtime"),
        pytest.param("kro.controllers", "from kro.runtime.client import Client", id="subpackage"),
        pytest.param("kro.cli", "import typer\nfrom kro import __version__", id="version"),
        pytest.param("kro.wiring", "from kro.controllers import wire", id="top"),
        pytest.param("kro.wiring", "from kro.graph import build", id="export named as its module"),
    ],
)
def test_checker_lets_the_allowed_pass(importer: str, source: str) -> None:
    """What the table allows is no violation."""
    assert violations({**HOUSE, importer: source}, HOUSE_PACKAGES) == []
