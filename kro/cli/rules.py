"""What a CRD demands of its objects beyond types: CEL rules and lists without repetition.

The API server runs `x-kubernetes-validations` when an object is written; here they run before that.
Transition rules (`oldSelf`) say something about updates only and are left out.

Source: the validation rules of apiextensions 0.36 (KEP-2876).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from kro.cel import DYN, STRING, Environment, Expression, Pending, schema_type, wrap
from kro.errors import AuthorError, AuthorErrors, DefinitionError, EvaluationError
from kro.refs import JsonObject, JsonValue

RULES: Final = "x-kubernetes-validations"
_LIST_TYPE: Final = "x-kubernetes-list-type"


class RuleChecker:
    """Holds objects to the rules of one CRD; every rule is compiled once."""

    def __init__(self) -> None:
        self._environment = Environment()
        self._compiled: dict[tuple[int, str], Expression | None] = {}
        self._kept: list[JsonObject] = []

    def check(
        self, value: JsonValue, schema: JsonObject, *, broken: Iterable[str] = ()
    ) -> list[AuthorError]:
        """Return every rule that the value breaks.

        Args:
            value: the object, with its defaults.
            schema: of the value; it must not be changed afterwards.
            broken: paths of values of a wrong shape. Rules about what holds them are left out.
        """
        return list(self._walk(value, schema, "", tuple(broken)))

    def _walk(
        self, value: JsonValue, schema: JsonObject, path: str, broken: tuple[str, ...]
    ) -> Iterator[AuthorError]:
        if value is None:
            return
        rules = schema.get(RULES)
        if isinstance(rules, list) and not any(_holds(path, place) for place in broken):
            for rule in rules:
                if isinstance(rule, dict):
                    yield from self._run(rule, value, schema, path)
        match value:
            case dict():
                properties, rest = schema.get("properties"), schema.get("additionalProperties")
                known = properties if isinstance(properties, dict) else {}
                for key, item in value.items():
                    below = known.get(key, rest)
                    if isinstance(below, dict):
                        yield from self._walk(item, below, _child(path, key), broken)
            case list():
                yield from _repetitions(value, schema, path)
                items = schema.get("items")
                if isinstance(items, dict):
                    for i, item in enumerate(value):
                        yield from self._walk(item, items, f"{path}[{i}]", broken)

    def _run(
        self, rule: JsonObject, value: JsonValue, schema: JsonObject, path: str
    ) -> Iterator[AuthorError]:
        text = rule.get("rule")
        if not isinstance(text, str):
            return
        expression = self._compile(text, schema)
        if expression is None:
            return
        bindings = {"self": wrap(value, schema_type(schema, "__type_self") or DYN)}
        try:
            holds = expression.evaluate(bindings)
        except EvaluationError as error:
            yield DefinitionError(
                f"the rule `{text}` cannot be evaluated: {error.problem}", path=path
            )
            return
        if isinstance(holds, Pending):
            problem = f"the rule `{text}` cannot be evaluated: {holds.problem}"
            yield DefinitionError(problem, path=path)
        elif holds is not True:
            place = rule.get("fieldPath")
            yield DefinitionError(
                self._message(rule, schema, bindings) or f"failed rule: {text}",
                path=path + place if isinstance(place, str) and path else path,
                hint="" if "message" not in rule else f"rule: {text}",
            )

    def _message(self, rule: JsonObject, schema: JsonObject, bindings: dict[str, object]) -> str:
        """Return the rule's own message: that of its expression, if that gives a text."""
        written = rule.get("messageExpression")
        if isinstance(written, str):
            expression = self._compile(written, schema)
            if expression is not None and expression.type == STRING:
                try:
                    message = expression.evaluate(bindings)
                except EvaluationError:
                    message = None  # as the API server: the plain message serves
                if isinstance(message, str) and message.strip():
                    return message
        plain = rule.get("message")
        return plain.strip() if isinstance(plain, str) else ""

    def _compile(self, text: str, schema: JsonObject) -> Expression | None:
        """Return the compiled rule; None if only the API server can run it, or only on updates."""
        key = (id(schema), text)
        if key not in self._compiled:
            self._kept.append(schema)
            self_type = schema_type(schema, "__type_self") or DYN
            try:
                compiled = self._environment.extend({"self": self_type}).compile(text)
            except AuthorErrors:
                self._compiled[key] = None
            else:
                self._compiled[key] = compiled
        return self._compiled[key]


def _repetitions(value: list[JsonValue], schema: JsonObject, path: str) -> Iterator[AuthorError]:
    """Yield the items of a set that are there twice, and those of a list-map with equal keys."""
    match schema.get(_LIST_TYPE):
        case "set":
            identities = [_identity(item) for item in value]
        case "map":
            keys = schema.get("x-kubernetes-list-map-keys")
            names = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
            identities = [
                _identity({name: item.get(name) for name in names})
                if isinstance(item, dict)
                else str(i)
                for i, item in enumerate(value)
            ]
        case _:
            return
    first: dict[str, int] = {}
    for i, identity in enumerate(identities):
        if identity in first:
            problem = f"stands in the list twice, first at {path}[{first[identity]}]"
            yield DefinitionError(problem, path=f"{path}[{i}]")
        first.setdefault(identity, i)


def _identity(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True)


def _holds(path: str, place: str) -> bool:
    """Return whether the value at `place` is, or is a part of, the one at `path`."""
    return not path or place == path or place.startswith((f"{path}.", f"{path}["))


def _child(path: str, key: str) -> str:
    if not key or any(character in '.[]" ' for character in key):
        return f"{path}[{json.dumps(key, ensure_ascii=False)}]"
    return f"{path}.{key}" if path else key
