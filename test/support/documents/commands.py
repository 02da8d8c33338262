"""Command lines that are not run, taken apart: everything that they name must exist.

These are commands that need what no test has: a registry with a published chart, a second machine,
a container engine. Of kubectl and helm the verbs and flags that the documents use are listed here;
commands of kro and the scripts of hack/ are looked up where they are defined.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Final

import yaml

from kro.cli.app import COMMANDS, parser_of
from kro.settings import Settings
from support.documents import manifests
from support.documents.blocks import ROOT


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KUBECTL: Final = _words(
    "annotate apply auth create delete describe diff edit exec explain get label logs patch "
    "port-forward replace rollout scale wait"
)
_KUBECTL_FLAGS: Final = _words(
    "--all --all-namespaces --as --cascade --dry-run --field-selector --filename --follow --for "
    "--force-conflicts --from --ignore-not-found --namespace --output --overwrite --patch "
    "--previous --replicas --selector --server-side --show-labels --show-managed-fields --sort-by "
    "--subresource --tail --timeout --type --watch -A -f -l -n -o -w -p -c"
)
_KUBECTL_TYPED: Final = _words("annotate delete describe edit get label patch")
_KUBECTL_VALUED: Final = _words("-c -f -l -n -o --namespace --selector --output --filename")
_HELM: Final = _words("get install lint package pull push show template uninstall upgrade")
_HELM_FLAGS: Final = _words(
    "--api-versions --atomic --create-namespace --install --namespace --output --set "
    "--set-json --set-string --skip-crds --timeout --values --version --wait -f -n"
)
_PLAIN: Final = _words("cd cat cp curl docker export flux git kill sed")
"""Programs whose arguments nobody here can judge."""
_FILE_FLAGS: Final = ("-f", "--filename", "--values", "--file")
_PLACEHOLDER: Final = re.compile(r"[A-Z][A-Z0-9_]*|<[^>]+>|.*…")


def problems(command: str, folder: Path, generated: frozenset[str]) -> Iterator[str]:
    """Yield what a command line names that does not exist.

    Args:
        folder: what its files are relative to.
        generated: kinds that a page's definitions make, as kubectl knows them.
    """
    for part in re.split(r" (?:\||&&|;) ", command):
        try:
            words = shlex.split(re.sub(r" >+ \S+$", "", part))
        except ValueError as error:
            yield f"{part}: {error}"
            continue
        while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
            words.pop(0)
        if words:
            yield from _one(words, folder, generated)


def _one(words: list[str], folder: Path, generated: frozenset[str]) -> Iterator[str]:
    program = words[0].removeprefix(".venv/bin/")
    match program:
        case "kro":
            yield from _kro(words[1:])
        case "kubectl":
            yield from _kubectl(words[1:], generated)
            yield from _files(words[1:], folder)
        case "helm":
            yield from _known("helm", words[1:], _HELM, _HELM_FLAGS)
            yield from _helm(words[1:], folder)
        case _ if program.startswith("hack/"):
            yield from _script(program, words[1:])
        case _ if program not in _PLAIN:
            yield f"{program} is no program that the documents may ask for"


def _kro(words: list[str]) -> Iterator[str]:
    if words[:1] == ["controller"]:
        known = {f"--{flag.metadata['flag']}" for flag in fields(Settings)} | {"--help"}
        rest = words[1:]
    else:
        name = next((n for n in (" ".join(words[:2]), words[0]) if n in COMMANDS), "")
        if not name:
            if words[0] not in {known.split()[0] for known in COMMANDS} | {"COMMAND", "--help"}:
                yield f"there is no command kro {words[0]}"
            return
        parser, _ = parser_of(name)
        known = set(parser._option_string_actions)
        rest = words[len(name.split()) :]
    for word in rest:
        if word.startswith("-") and len(word) > 1 and word.split("=")[0] not in known:
            yield f"kro {words[0]} has no flag {word}"


def _kubectl(words: list[str], generated: frozenset[str]) -> Iterator[str]:
    yield from _known("kubectl", words, _KUBECTL, _KUBECTL_FLAGS)
    if words[0] not in _KUBECTL_TYPED:
        return
    plain = [
        word
        for before, word in itertools.pairwise(words)
        if not word.startswith("-") and before not in _KUBECTL_VALUED
    ]
    if not plain or any(word.split("=")[0] in ("-f", "--filename") for word in words):
        return
    known = manifests.kubectl_words() | generated
    for kind in plain[0].split(","):
        word = kind.partition("/")[0].partition(".")[0]
        if word not in known and not _PLACEHOLDER.fullmatch(word):
            yield f"kubectl knows no kind {word}"


def _helm(words: list[str], folder: Path) -> Iterator[str]:
    yield from _files(words, folder)
    for flag, value in itertools.pairwise(words):
        if flag in ("--set", "--set-string", "--set-json"):
            path = value.partition("=")[0]
            tree: object = {}
            for key in reversed(path.split(".")):
                tree = {key: tree}
            yield from manifests.values_problems(yaml.safe_dump(tree))
    if "./helm" in words and not (ROOT / "helm" / "Chart.yaml").is_file():
        yield "there is no chart in ./helm"


def _known(
    program: str, words: list[str], verbs: frozenset[str], flags: frozenset[str]
) -> Iterator[str]:
    if not words or words[0] not in verbs:
        yield f"{program} {' '.join(words[:1])} is no command that the documents may use"
    for word in words[1:]:
        if word == "--":
            return
        if word.startswith("-") and len(word) > 1 and word.split("=")[0] not in flags:
            yield f"{program} {words[0]}: unknown flag {word}"


def _files(words: list[str], folder: Path) -> Iterator[str]:
    named = [b for a, b in itertools.pairwise(words) if a in _FILE_FLAGS]
    named += [w.partition("=")[2] for w in words if w.partition("=")[0] in _FILE_FLAGS and "=" in w]
    for name in named:
        if name == "-" or name.startswith("https://") or _PLACEHOLDER.fullmatch(name):
            continue
        if not (folder / name).exists():
            yield f"there is no file {name}"


def _script(program: str, words: list[str]) -> Iterator[str]:
    if program == "hack/":
        return
    if not (ROOT / program).is_file():
        yield f"there is no {program}"
        return
    text = _script_text(program)
    for word in words:
        if word.startswith("--") and word.split("=")[0] not in text:
            yield f"{program} has no flag {word}"


@cache
def _script_text(program: str) -> str:
    """Return the script, and what it is made of."""
    name = Path(program).name.replace("-", "")
    parts = [ROOT / program]
    for folder in (ROOT / "hack" / "lib", ROOT / "test" / "support"):
        parts += [f for f in folder.rglob("*.py") if name in _letters(f.relative_to(folder))]
    return "\n".join(part.read_text(encoding="utf-8") for part in parts)


def _letters(path: Path) -> str:
    return re.sub(r"[-_]", "", path.as_posix())
