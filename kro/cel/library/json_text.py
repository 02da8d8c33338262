"""JSON texts: `json.unmarshal(string)` and `json.marshal(dyn)`, as Go's `encoding/json` has them.

Source: kro's `json` library over Go's `encoding/json`; spec: cel.md §2.10.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import Final

from kro.cel.budget import charge
from kro.cel.celtypes import DYN, STRING
from kro.cel.failures import Failure
from kro.cel.functions import Library, free, function
from kro.cel.library.doubles import json_number
from kro.cel.values import OMIT, Value

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPED: Final = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def _double(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"number {digits[:32]} is out of range")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"invalid literal {name}")


_DECODER: Final = json.JSONDecoder(
    parse_float=_double, parse_int=_double, parse_constant=_refuse_constant
)


def unmarshal(text: str) -> Value:
    """Return the value of a JSON text; every number is a double, the last of equal keys wins.

    Raises:
        Failure: it is not exactly one JSON value.
    """
    charge(len(text))
    try:
        value = _DECODER.decode(text)
    except ValueError as error:
        raise Failure(f"json.unmarshal failed to parse JSON: {error}") from error
    except RecursionError as error:
        raise Failure("json.unmarshal failed to parse JSON: nested too deeply") from error
    # Python keeps escaped halves of surrogate pairs; no CEL string can hold them.
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(text) else value


def _without_surrogates(value: Value) -> Value:
    if type(value) is str:
        return _SURROGATE.sub("\ufffd", value)
    if type(value) is list:
        return [_without_surrogates(element) for element in value]
    if type(value) is dict:
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def marshal(value: Value) -> str:
    """Return the value as compact JSON with sorted keys, safe to embed in HTML.

    Raises:
        Failure: it holds what JSON cannot: quantities, types, keys that are no strings, NaN.
    """
    from kro.cel.output import to_native  # it needs this package for times

    try:
        native = to_native(value, marshal=True)
    except Failure as failure:
        raise Failure(f"json.marshal failed to convert value: {failure.problem}") from failure
    text = "".join(_encoded(native))
    charge(len(text))
    for character, escape in _ESCAPED.items():
        if character in text:
            text = text.replace(character, escape)
    return text


def _encoded(value: Value) -> Iterator[str]:
    if type(value) is str:
        yield encode_basestring(value)
    elif value is None:
        yield "null"
    elif value is True:
        yield "true"
    elif value is False:
        yield "false"
    elif type(value) is float:
        if not math.isfinite(value):
            raise Failure("json.marshal failed to encode value: unsupported value: not finite")
        yield json_number(value)
    elif isinstance(value, int):
        yield int.__repr__(value)
    elif value is OMIT:
        yield "{}"
    elif type(value) is dict:
        charge(len(value))
        opening = "{"
        for key in sorted(value):
            yield f"{opening}{encode_basestring(key)}:"
            yield from _encoded(value[key])
            opening = ","
        yield "}" if value else "{}"
    else:
        charge(len(value))
        opening = "["
        for element in value:
            yield opening
            yield from _encoded(element)
            opening = ","
        yield "]" if value else "[]"


LIBRARY: Final = Library(
    "kro.json",
    functions=(
        function("json.unmarshal", [free("json_unmarshal", STRING, result=DYN, call=unmarshal)]),
        function("json.marshal", [free("json_marshal", DYN, result=STRING, call=marshal)]),
    ),
)
