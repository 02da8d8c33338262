"""What a definition's spec says, as one text and its hash; names of its revisions.

The hash answers one question: does the spec still say what the latest revision froze? Two specs
that differ only in key order, white space, spelled-out defaults, the order of resources or that of
readyWhen and includeWhen entries have the same text.

Source: spec graph-and-rgd-controller.md §6.1, §6.3.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping

from kro.errors import DefinitionError
from kro.refs import JsonObject, JsonValue

DEFAULT_GROUP = "kro.run"
DEFAULT_SCOPE = "Namespaced"
MAX_DEPTH = 200
"""How deeply free content of a definition may nest."""

_NAME_LIMIT = 253
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_HTML_PATTERN = re.compile("[<>&\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")


def spec_hash(spec: JsonObject) -> str:
    """Return the hash of a definition's spec: 16 hexadecimal digits.

    Raises:
        DefinitionError: free content holds what canonical JSON cannot express.
    """
    return f"{fnv1a(canonical(spec).encode(), bits=64):016x}"


def revision_name(definition: str, revision: int) -> str:
    """Return the name of the GraphRevision that is number `revision` of `definition`."""
    name = f"{definition}-r{revision:05d}"
    if len(name) <= _NAME_LIMIT:
        return name
    suffix = f"-r{revision:05d}-{fnv1a(definition.encode(), bits=32):08x}"
    kept = definition[: _NAME_LIMIT - len(suffix)].rstrip(".-")
    return (kept or "gr") + suffix


def fnv1a(data: bytes, *, bits: int) -> int:
    """Return the FNV-1a hash of `data`; `bits` is 32 or 64."""
    if bits == 64:
        value, prime = 0xCBF29CE484222325, 0x100000001B3
    else:
        value, prime = 0x811C9DC5, 0x01000193
    mask = (1 << bits) - 1
    for byte in data:
        value = ((value ^ byte) * prime) & mask
    return value


def canonical(spec: JsonObject) -> str:
    """Return the text that is hashed: one JSON object with fixed keys in a fixed order.

    Raises:
        DefinitionError: free content holds what canonical JSON cannot express.
    """
    fields: list[tuple[str, str]] = []
    schema = spec.get("schema")
    if isinstance(schema, dict):
        fields.append(("schema", _schema(schema)))
    entries = _mappings(spec.get("resources"))
    if entries:
        numbered = sorted(enumerate(entries), key=lambda pair: str(pair[1].get("id") or ""))
        fields.append(("resources", _array(_resource(entry, i) for i, entry in numbered)))
    return _object(fields)


def _schema(schema: JsonObject) -> str:
    fields = _given(schema, "kind", "apiVersion")
    fields.append(("group", _string(str(schema.get("group") or DEFAULT_GROUP))))
    for key in ("spec", "types", "status"):
        fields.append((key, _free(schema.get(key), f"schema.{key}")))
    fields.append(("scope", _string(str(schema.get("scope") or DEFAULT_SCOPE))))
    columns = _mappings(schema.get("additionalPrinterColumns"))
    if columns:
        fields.append(("additionalPrinterColumns", _array(map(_column, columns))))
    fields.extend(_given(schema, "shortNames", "categories"))
    metadata = schema.get("metadata")
    if isinstance(metadata, dict):
        fields.append(("metadata", _object(_given(metadata, "labels", "annotations"))))
    return _object(fields)


def _column(column: JsonObject) -> str:
    return _object(
        [
            ("name", _string(str(column.get("name") or ""))),
            ("type", _string(str(column.get("type") or ""))),
            *_given(column, "format", "description", "priority"),
            ("jsonPath", _string(str(column.get("jsonPath") or ""))),
        ]
    )


def _resource(entry: JsonObject, index: int) -> str:
    fields = _given(entry, "id")
    fields.append(("template", _free(entry.get("template"), f"resources[{index}].template")))
    external = entry.get("externalRef")
    if isinstance(external, dict):
        fields.append(("externalRef", _external(external)))
    for key in ("readyWhen", "includeWhen"):
        texts = entry.get(key)
        if isinstance(texts, list) and texts:
            fields.append((key, _array(_value(text) for text in sorted(texts, key=str))))
    fields.extend(_given(entry, "forEach"))
    return _object(fields)


def _external(external: JsonObject) -> str:
    metadata = external.get("metadata")
    inner: list[tuple[str, str]] = []
    if isinstance(metadata, dict):
        inner = _given(metadata, "name", "namespace")
        selector = metadata.get("selector")
        if isinstance(selector, dict):
            parts = _given(selector, "matchLabels")
            expressions = _mappings(selector.get("matchExpressions"))
            if expressions:
                parts.append(("matchExpressions", _array(map(_match_expression, expressions))))
            inner.append(("selector", _object(parts)))
    return _object(
        [
            ("apiVersion", _string(str(external.get("apiVersion") or ""))),
            ("kind", _string(str(external.get("kind") or ""))),
            ("metadata", _object(inner)),
        ]
    )


def _match_expression(expression: JsonObject) -> str:
    return _object(
        [
            ("key", _string(str(expression.get("key") or ""))),
            ("operator", _string(str(expression.get("operator") or ""))),
            *_given(expression, "values"),
        ]
    )


def _mappings(value: JsonValue) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _given(holder: Mapping[str, JsonValue], *keys: str) -> list[tuple[str, str]]:
    """Return the keys that hold something, in the order asked for."""
    return [(key, _value(holder[key])) for key in keys if holder.get(key)]


def _object(fields: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{_string(key)}:{text}" for key, text in fields) + "}"


def _array(texts: Iterable[str]) -> str:
    return "[" + ",".join(texts) + "]"


def _free(value: JsonValue, part: str) -> str:
    try:
        return _value(value)
    except _NotCanonicalError as error:
        raise DefinitionError(f"normalize {part}: {error}", path=f"spec.{part}") from error


class _NotCanonicalError(Exception):
    """A value has no canonical JSON; the text says why."""


def _value(value: JsonValue, depth: int = 0) -> str:
    write = _SCALARS.get(type(value))
    if write is not None:
        return write(value)
    if depth >= MAX_DEPTH:
        raise _NotCanonicalError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        # Lists and no generators: fewer frames a level, so that MAX_DEPTH is what ends the descent.
        return _object([(key, _value(value[key], depth + 1)) for key in sorted(value)])
    if isinstance(value, list):
        return _array([_value(item, depth + 1) for item in value])
    raise _NotCanonicalError(f"{type(value).__name__} is not a JSON type")


def _string(text: str) -> str:
    written = json.dumps(_SURROGATES.sub("\ufffd", text), ensure_ascii=False)
    return _HTML_PATTERN.sub(lambda match: _HTML[match[0]], written)


def _number(value: float) -> str:
    """Return a number as a double in its shortest form, as ECMAScript prints it."""
    try:
        double = float(value)
    except OverflowError as error:
        raise _NotCanonicalError("a number is too large for a double") from error
    if not math.isfinite(double):
        raise _NotCanonicalError(f"{double} is not a JSON number")
    if double == 0:
        return "-0" if math.copysign(1, double) < 0 else "0"
    mantissa, _, exponent_text = f"{double!r}e".partition("e")
    exponent = int(exponent_text.rstrip("e") or "0")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    leading_zeros = len(whole + fraction) - len(digits)
    point = len(whole) + exponent - leading_zeros  # the value is 0.digits * 10**point
    digits = digits.rstrip("0")
    if point < -5 or point > 21:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{tail}e{point - 1:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


_SCALARS: Mapping[type, Callable[..., str]] = {
    str: _string,
    bool: lambda value: "true" if value else "false",
    int: _number,
    float: _number,
    type(None): lambda _: "null",
}
