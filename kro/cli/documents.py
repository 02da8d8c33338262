"""The manifests that a command line names: files, folders, `-` for the standard input."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kro.cli.places import Text, find, offset_of, offset_within
from kro.cli.report import Diagnostic
from kro.cli.yaml_nodes import Fault, Node, read_nodes
from kro.errors import AuthorError, UnknownFieldError
from kro.refs import GVK, JsonObject, JsonValue
from kro.settings import UsageError

MAX_BYTES: Final = 32 * 2**20
"""Of one file. An API server takes objects of 3 MiB; bundles of CRDs are larger."""
SUFFIXES: Final = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Document:
    """One manifest, or whatever else a document of a file holds."""

    text: Text
    root: Node
    explicit: bool
    """Whether the user named the file, rather than a folder that holds it."""

    @property
    def value(self) -> JsonValue:
        """The document as JSON; it must not be changed."""
        return self.root.value

    @property
    def manifest(self) -> JsonObject:
        """The document if it is an object, else an empty one."""
        return self.root.value if isinstance(self.root.value, dict) else {}

    @property
    def gvk(self) -> GVK | None:
        """The kind that the manifest names."""
        api_version, kind = self.manifest.get("apiVersion"), self.manifest.get("kind")
        if isinstance(api_version, str) and isinstance(kind, str) and api_version and kind:
            return GVK.of(api_version, kind)
        return None

    @property
    def name(self) -> str:
        """`metadata.name`, or nothing."""
        metadata = self.manifest.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return name if isinstance(name, str) else ""

    def diagnose(self, error: AuthorError) -> Diagnostic:
        """Return an error with its place in the file: of the value, or of the value's key."""
        found = find(self.root, error.path)
        offset = offset_of(self.text, found, at_key=isinstance(error, UnknownFieldError))
        expression = error.excerpt
        if expression is not None and found.whole:
            within = offset_within(self.text, found.node, expression)
            if within is not None:
                offset, expression = within, None
        return diagnose(
            self.text,
            offset,
            error.problem,
            path=error.path,
            hint=error.hint,
            expression=expression,
        )


def diagnose(text: Text, offset: int, problem: str, **parts: object) -> Diagnostic:
    """Return a problem at an offset of a file."""
    line, column = text.position(offset)
    source, caret = text.around(offset)
    return Diagnostic(
        message=problem,
        file=text.name,
        line=line,
        column=column,
        source=source,
        caret=caret,
        **parts,  # type: ignore[arg-type]
    )


def read_documents(names: Sequence[str]) -> tuple[list[Document], list[Diagnostic]]:
    """Return the documents of all files, in order, and what is wrong with their YAML.

    A folder stands for all manifests below it. The items of a `List` are documents of their own.

    Raises:
        UsageError: a file or folder cannot be read.
    """
    documents: list[Document] = []
    diagnostics: list[Diagnostic] = []
    for path, explicit in _files(names):
        try:
            text = _read(path)
        except UnicodeDecodeError as error:
            diagnostics.append(_undecodable(path, error))
            continue
        except _TooLargeError as error:
            diagnostics.append(Diagnostic(file=_shown(path), message=str(error)))
            continue
        roots, faults = read_nodes(text.content)
        diagnostics.extend(_fault(text, fault) for fault in faults)
        for root in roots:
            documents.extend(_expanded(Document(text, root, explicit)))
    return documents, diagnostics


class _TooLargeError(Exception):
    """A file is larger than what is read."""


def _expanded(document: Document) -> Iterator[Document]:
    items = (
        document.root.children.get("items") if isinstance(document.root.children, dict) else None
    )
    if document.gvk == GVK("", "v1", "List") and items and isinstance(items[1].children, list):
        for item in items[1].children:
            yield Document(document.text, item, document.explicit)
    else:
        yield document


def _files(names: Iterable[str]) -> Iterator[tuple[Path | None, bool]]:
    """Yield each file once, None for the standard input, and whether the user named it."""
    seen: set[Path | None] = set()
    for name in names:
        if name == "-":
            found: list[tuple[Path | None, bool]] = [(None, True)]
        else:
            path = Path(name)
            if path.is_dir():
                found = [(file, False) for file in sorted(_below(path))]
                if not found:
                    raise UsageError(f"{name} holds no {', '.join(SUFFIXES)} files")
            elif path.exists():
                found = [(path, True)]
            else:
                raise UsageError(f"{name}: no such file or folder")
        for file, explicit in found:
            if file not in seen:
                seen.add(file)
                yield file, explicit


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in SUFFIXES and not hidden and path.is_file():
            yield path


def _shown(path: Path | None) -> str:
    return "<stdin>" if path is None else str(path)


def _read(path: Path | None) -> Text:
    try:
        if path is None:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{_shown(path)}: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise _TooLargeError(f"the file is larger than {MAX_BYTES // 2**20} MiB")
    return Text(_shown(path), data.decode("utf-8-sig"))


def _undecodable(path: Path | None, error: UnicodeDecodeError) -> Diagnostic:
    before = bytes(error.object[: error.start])
    return Diagnostic(
        file=_shown(path),
        line=before.count(b"\n") + 1,
        column=len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1,
        message=f"the byte 0x{error.object[error.start]:02x} is no UTF-8",
        hint="save the file as UTF-8",
    )


def _fault(text: Text, fault: Fault) -> Diagnostic:
    return diagnose(text, fault.offset, fault.problem, hint=fault.hint)
