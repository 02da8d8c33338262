"""Throws broken definition files at `kro validate`.

Whatever the file, the verdict is 0, 1 or 2, in bounded time and memory, and errors have places.
Files are mutated as texts (as YAML may be mistyped) and as values (as fields may be misplaced).
"""

from __future__ import annotations

import contextlib
import io
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from fuzz.garbage import Tally
from kro.cli.app import run_app
from kro.cli.output import to_json
from kro.cli.report import as_text
from kro.cli.validation import report, verdicts
from kro.cli.workspace import open_workspace
from kro.cli.yaml_nodes import read_nodes
from kro.refs import GVK
from kro.schema import BundledSchemas, Schemas

SLOW_S: Final = 10.0
MEMORY_MIB: Final = 1024
"""A process that takes more fails the run; at twice as much address space it gets no more."""
WHOLE_COMMAND: Final = 50
"""Every so many inputs go through the command itself; the others share the bundled schemas."""

_ROOT: Final = Path(__file__).parents[2]
_SEEDS: Final = ("examples", "test/golden/errors", "test/golden/cli")
_CASES: Final = _ROOT / "test/conformance/cases/graph.yaml"
_TOKENS: Final = [
    "${", "}", "${}", "${schema.spec.name}", "${a.b.c}", "${[1,2].map(x, x)}", "${each}", "${'",
    "$${", "string", "integer | default=1", "[]string", "map[string]Foo", "object",
    "| required=true", "string | enum=\"a,b\"", "integer | minimum=9 maximum=1",
    "boolean | default=maybe",
    "string | pattern=\"(\" minLength=-1", "|", ":", ": ", "- ", "---", "...", "? ", "&a",
    "*a", "<<: *a", "!!int", "!!binary", "!x", "{", "[", "]", "'", '"', "#", "%YAML 1.1",
    "@", "`", ">", "|2-", "\t", "null", "~", "true", "yes", "0x1F", "1e999", ".inf", "-.nan",
    "9" * 23, "0o8",
    "2001-01-01", "\u00e9", "\U0001f600", "\ufeff", "\u2028", "\x00", "\x1b[31m", "\r", "\\u0000",
    "apiVersion: v1", "kind: Secret", "metadata: {}", "forEach:", "- x: ${schema.spec.hosts}",
    "readyWhen: [\"${each.status}\"]", "includeWhen: []", "externalRef: {}", "id: schema",
    "conditions:", "additionalPrinterColumns: [{}]", "types: {A: {b: A}}", "scope: Cluster",
]  # fmt: skip
_VALUES: Final[list[Any]] = [
    None, True, 0, -1, 1.5, 2**63, "", "x", "${x}", "${schema.spec}", "${schema.metadata.name}", [],
    {}, [[]], {"": ""}, {"a.b": {"c[0]": 1}}, ["${a}", {"b": "${c"}], "\u0000", "a" * 300,
    "string | default=\"x\"", {"type": "object"}, {"apiVersion": "v1", "kind": "Pod"},
    {"apiVersion": "kro.run/v1alpha1", "kind": "WebApplication", "metadata": {"name": "x"}},
]  # fmt: skip


class _Shared:
    """The bundled schemas, read once for all inputs."""

    def __init__(self) -> None:
        self._schemas = BundledSchemas()

    def __call__(self, kinds: Sequence[GVK], /) -> Schemas:
        """Return them, whatever the kinds."""
        return self._schemas


def run(seed: int, count: int, deadline: float) -> Tally:
    """Try up to `count` files until the clock shows `deadline`."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (2 * MEMORY_MIB * 2**20, hard))
    source = random.Random(seed)
    seeds, values = _seeds()
    shared = _Shared()
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rgd.yaml"
        while tally.inputs < count and time.monotonic() < deadline:
            text = _input(source, seeds, values)
            file.write_bytes(text)
            tally.inputs += 1
            started = time.monotonic()
            try:
                whole = tally.inputs % WHOLE_COMMAND == 0
                code = _command(file) if whole else _check(file, shared)
                if code == 0:
                    tally.compiled += 1
                elif code not in (1, 2):
                    tally.failures.append(f"exit code {code}\n  input: {text!r:.3000}")
            except BaseException as error:  # noqa: BLE001 - that is what the run looks for
                tally.failures.append(_failure(error, text))
            took = time.monotonic() - started
            if took > SLOW_S:
                tally.failures.append(f"took {took:.1f} s\n  input: {text!r:.3000}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if peak > MEMORY_MIB:
        tally.failures.append(f"a process from seed {seed} on took {peak} MiB")
    return tally


def _check(file: Path, shared: _Shared) -> int:
    workspace = open_workspace([str(file)], fetch=shared)
    text = as_text(workspace.diagnostics) + "\n".join(verdicts(workspace))
    if "\x1b" in text or "\x00" in text:
        raise AssertionError("a control character reached the terminal")
    to_json(report(workspace))
    for found in workspace.diagnostics:
        if not found.line or not found.message:
            raise AssertionError(f"an error without a place: {found}")
    return 1 if workspace.broken else 0


def _command(file: Path) -> int:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return run_app(["validate", str(file)])


def _failure(error: BaseException, text: bytes) -> str:
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last else ""
    return f"{type(error).__name__}: {error!s:.200} at {where}\n  input: {text!r:.3000}"


def _seeds() -> tuple[list[str], list[dict[str, Any]]]:
    """Return files to start from, as texts and as values: right ones and wrong ones."""
    files = [file for folder in _SEEDS for file in sorted((_ROOT / folder).rglob("*.yaml"))]
    texts = [file.read_text() for file in files]
    cases = yaml.load(_CASES.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    texts += [yaml.safe_dump(case["rgd"], sort_keys=False) for case in cases[::5]]
    values = [
        root.value for text in texts for root in read_nodes(text)[0] if isinstance(root.value, dict)
    ]
    return texts, values


def _input(source: random.Random, seeds: list[str], values: list[dict[str, Any]]) -> bytes:
    form = source.randrange(20)
    if form == 0:
        return source.randbytes(source.randrange(200))
    if form < 10:
        text = source.choice(seeds)
        for _ in range(source.choice((1, 1, 1, 2, 3, 8))):
            text = _mutated_text(source, text, seeds)
        return text.encode("utf-8", "surrogatepass")
    documents = [
        _mutated(source, source.choice(values), values) for _ in range(source.choice((1, 1, 1, 2)))
    ]
    dumped: str = yaml.dump_all(
        documents,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        sort_keys=False,
        allow_unicode=True,
    )
    return dumped.encode("utf-8", "surrogatepass")


def _mutated_text(source: random.Random, text: str, seeds: list[str]) -> str:
    lines = text.split("\n")
    at = source.randrange(len(lines))
    position = source.randrange(len(text) + 1)
    match source.randrange(11):
        case 0:
            del lines[at]
        case 1:
            lines.insert(source.randrange(len(lines)), lines[at])
        case 2:
            lines[at] = " " * source.choice((1, 2, 4)) + lines[at]
        case 3:
            lines[at] = lines[at][source.choice((1, 2, 4)) :]
        case 4:
            key, colon, _ = lines[at].partition(":")
            lines[at] = f"{key}{colon} {source.choice(_TOKENS)}"
        case 5:
            other = source.choice(seeds).split("\n")
            start = source.randrange(len(other))
            lines[at:at] = other[start : start + source.randrange(1, 30)]
        case 6:
            return text[:position]
        case 7:
            return text[:position] + source.choice(_TOKENS) + text[position:]
        case 8:
            return text[:position] + text[position + source.choice((1, 1, 2, 5, 40)) :]
        case 9:
            first = source.choice(text.split() or [""])
            return text.replace(first, source.choice(_TOKENS), source.choice((1, 1, 99)))
        case _:
            return (
                text[:position]
                + source.choice(_TOKENS) * source.choice((2, 50, 3000))
                + text[position:]
            )
    return "\n".join(lines)


def _mutated(source: random.Random, document: Any, values: list[dict[str, Any]]) -> Any:
    """Return a copy of a document with some values replaced, moved or taken away."""
    document = _copied(document)
    for _ in range(source.choice((1, 1, 2, 3, 6))):
        holders = list(_holders(document))
        if not holders:
            return document
        holder, key = source.choice(holders)
        match source.randrange(6):
            case 0:
                holder[key] = _copied(source.choice(_VALUES))
            case 1:
                del holder[key]
            case 2:
                other, other_key = source.choice(list(_holders(source.choice(values))))
                holder[key] = _copied(other[other_key])
            case 3 if isinstance(key, str):
                holder[_misspelt(source, key)] = holder.pop(key)
            case 4 if isinstance(holder[key], str):
                text = holder[key]
                at = source.randrange(len(text) + 1)
                holder[key] = text[:at] + source.choice(_TOKENS) + text[at + source.randrange(3) :]
            case _:
                holder[key] = [holder[key]] if source.random() < 0.5 else {"x": holder[key]}
    return document


def _misspelt(source: random.Random, word: str) -> str:
    at = source.randrange(len(word) + 1)
    return word[:at] + source.choice("aexX._-0") + word[at + source.randrange(2) :]


def _holders(value: Any) -> list[tuple[Any, Any]]:
    """Return every object and list in a value, once for each of its keys."""
    found: list[tuple[Any, Any]] = []
    work = [value]
    while work:
        one = work.pop()
        keys = one if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            found.append((one, key))
            work.append(one[key])
    return found


def _copied(value: Any) -> Any:
    match value:
        case dict():
            return {key: _copied(item) for key, item in value.items()}
        case list():
            return [_copied(item) for item in value]
    return value
