"""YAML paths as errors show them: `spec.a["b.c"][2]`."""

from __future__ import annotations

import json
import re
from typing import Final

_PLAIN: Final = re.compile(r'[^.\[\]"\s]+')


def child(path: str, key: str | int) -> str:
    """Return the path of a mapping's entry or a list's item below `path`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not _PLAIN.fullmatch(key):
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key
