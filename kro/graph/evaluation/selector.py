"""Label selectors: from the manifest's shape to the text that the API server takes.

Source: `metav1.LabelSelector`; spec instance-runtime.md §3.2.
"""

from __future__ import annotations

import re

from kro.errors import EvaluationError
from kro.refs import JsonObject, JsonValue

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_SETS = {"In": "in", "NotIn": "notin"}


def selector_text(selector: JsonValue) -> str:
    """Return the selector in the API server's notation; absent or empty selects everything.

    Raises:
        EvaluationError: an unknown operator, or a key or value that no label can have.
    """
    if selector is None:
        return ""
    if not isinstance(selector, dict):
        raise EvaluationError("a label selector must be an object")
    return ",".join((*_match_labels(selector), *_match_expressions(selector)))


def _match_labels(selector: JsonObject) -> list[str]:
    labels = selector.get("matchLabels") or {}
    if not isinstance(labels, dict):
        raise EvaluationError("matchLabels must be an object")
    return [f"{_key(key)}={_value(value)}" for key, value in sorted(labels.items())]


def _match_expressions(selector: JsonObject) -> list[str]:
    entries = selector.get("matchExpressions") or []
    if not isinstance(entries, list):
        raise EvaluationError("matchExpressions must be a list")
    return [_requirement(entry) for entry in entries]


def _requirement(entry: JsonValue) -> str:
    if not isinstance(entry, dict):
        raise EvaluationError("an entry of matchExpressions must be an object")
    key, operator, values = _key(entry.get("key")), entry.get("operator"), entry.get("values") or []
    if not isinstance(values, list):
        raise EvaluationError(f"values of {key} must be a list")
    if operator in _SETS:
        if not values:
            raise EvaluationError(f"values of {key} must not be empty for operator {operator}")
        chosen = ",".join(sorted(_value(value) for value in values))
        return f"{key} {_SETS[str(operator)]} ({chosen})"
    if operator in ("Exists", "DoesNotExist"):
        if values:
            raise EvaluationError(f"values of {key} must be empty for operator {operator}")
        return key if operator == "Exists" else f"!{key}"
    raise EvaluationError(f'"{operator}" is not a valid label selector operator')


def _key(key: JsonValue) -> str:
    if isinstance(key, str):
        prefix, slash, name = key.rpartition("/")
        prefixed = not slash or (len(prefix) < 254 and _PREFIX.fullmatch(prefix))
        if prefixed and _NAME.fullmatch(name):
            return key
    raise EvaluationError(f"{key!r} is not a label key")


def _value(value: JsonValue) -> str:
    if isinstance(value, str) and _VALUE.fullmatch(value):
        return value
    raise EvaluationError(f"{value!r} is not a label value")
