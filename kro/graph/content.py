"""Whether a definition is JSON that the API server could hold; everything after this relies on it.

Definitions come from YAML files too, and YAML can say more: numbers of any size, keys that are no
text, structures of any depth.
"""

from __future__ import annotations

import math

from kro.graph import fieldpath
from kro.graph.fieldpath import FieldPath
from kro.graph.problems import Problems
from kro.graph.revision import MAX_DEPTH

MAX_VALUES = 1_000_000
"""More than what fits into an object of the API server."""


def check_json(value: object, path: FieldPath, problems: Problems) -> None:
    """Report every place where `value` is not JSON, or is nested too deeply.

    No recursion, and no descent below a place that is reported. It ends after `MAX_VALUES`: YAML
    aliases can make a small file into a huge definition.
    """
    root = _text(path)
    work: list[tuple[object, FieldPath]] = [(value, path)]
    seen = 0
    while work:
        value, path = work.pop()
        seen += 1
        if seen > MAX_VALUES:
            problems.definition(f"holds more than {MAX_VALUES} values", root)
            return
        problem = _problem(value, path)
        if problem:
            problems.definition(problem, _text(path))
        elif isinstance(value, dict):
            for key, item in value.items():
                if not isinstance(key, str) or not _is_text(key):
                    problems.definition(
                        f"the key {key!r:.80} is no text", _text(path), hint="put it into quotes"
                    )
                else:
                    work.append((item, (*path, key)))
        elif isinstance(value, list):
            work.extend((item, (*path, i)) for i, item in enumerate(value))


def _problem(value: object, path: FieldPath) -> str:
    match value:
        case str():
            return "" if _is_text(value) else "holds characters that are no Unicode text"
        case None | bool():
            return ""
        case int():
            fits = -(2**63) <= value < 2**64
            return "" if fits else "the number does not fit into 64 bits"
        case float():
            return "" if math.isfinite(value) else f"{value} is not a JSON number"
        case dict() | list():
            too_deep = len(path) > MAX_DEPTH
            return f"is nested deeper than {MAX_DEPTH} levels" if too_deep else ""
    return f"{type(value).__name__} is not a JSON type: put the value into quotes"


def _is_text(text: str) -> bool:
    """Return whether a text is free of lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(path: FieldPath) -> str:
    shown = path if len(path) <= 20 else (*path[:20], "…")
    return fieldpath.join(shown)
