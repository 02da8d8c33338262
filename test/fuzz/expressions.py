"""Random CEL expressions: mostly well-typed, sometimes not, over fixed variables and data."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

VARIABLES: Final[dict[str, str]] = {
    "i": "int",
    "j": "int",
    "d": "double",
    "s": "string",
    "t": "string",
    "b": "bool",
    "li": "list(int)",
    "ls": "list(string)",
    "mi": "map(string, int)",
    "ms": "map(string, string)",
    "dy": "dyn",
}
"""The variables of all expressions, by their types."""

_INTS: Final = [
    "0",
    "1",
    "2",
    "3",
    "-1",
    "7",
    "-7",
    "10",
    "255",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967296",
    "0x1F",
]
_UINTS: Final = ["0u", "1u", "2u", "7u", "18446744073709551615u", "0x10u"]
_DOUBLES: Final = [
    "0.0",
    "1.0",
    "-1.5",
    "2.5",
    "1e3",
    "1e-7",
    "3.25",
    "9007199254740993.0",
    "-0.0",
    "1e308",
]
_STRINGS: Final = (
    "''", "'a'", "'b'", "'hello world'", "'é😀'", "'1'", "'true'", "'1.5'", "'a,b,c'", "' x '",
    "'A-z_9'", r"'\n\t'", "r'\\d'", '"q"',
)  # fmt: skip
_BYTES: Final = ("b''", "b'a'", r"b'\xff\x00'", "b'é'")
_TIMES: Final = (
    "timestamp('2024-02-29T12:34:56Z')",
    "timestamp('1970-01-01T00:00:00Z')",
    "timestamp('2023-12-31T23:59:59.999+02:00')",
    "timestamp('9999-12-31T23:59:59Z')",
    "timestamp('0001-01-01T00:00:00Z')",
)
_DURATIONS: Final = (
    "duration('1h')", "duration('-1.5s')", "duration('0s')", "duration('100ms')",
    "duration('8760h')",
)  # fmt: skip
_PATTERNS: Final = ("'^a'", "'[0-9]+'", "'.*'", "'a|b'", "'('", "'o\\\\s?w'")
_TYPES: Final = (
    "int", "uint", "double", "string", "bool", "bytes", "timestamp", "duration", "null", "dyn",
    "list(int)", "list(string)", "list(double)", "list(bool)", "map(string, int)",
    "map(string, string)", "map(int, string)", "list(list(int))", "map(bool, int)", "list(dyn)",
)  # fmt: skip


def bindings(random: Random) -> dict[str, Any]:
    """Return data for the variables, without those that stay unbound."""
    leaf: list[Any] = [None, True, False, 0, 1, -3, 2.5, "a", "x y", "", [1, 2], {}, []]
    inner = {name: random.choice(leaf) for name in random.sample("abcxyz", 3)}
    dynamic: list[Any] = [
        *leaf,
        {"a": inner, "b": random.choice(leaf), "items": [inner, {"a": 1}, {"b": "q"}]},
        [inner, 1, "a"],
        {"a": {"a": {"a": 1}}},
    ]
    data = {
        "i": random.choice([0, 1, -5, 42, 2**63 - 1, -(2**63)]),
        "j": random.choice([0, 3, 100]),
        "d": random.choice([0.0, 1.5, -2.25, 1e10]),
        "s": random.choice(["", "abc", "hello world", "日本語", "a,b"]),
        "t": random.choice(["a", "b", "x"]),
        "b": random.choice([True, False]),
        "li": random.choice([[], [1], [3, 1, 2], list(range(8))]),
        "ls": random.choice([[], ["a"], ["b", "a", "b"], ["x", "hello"]]),
        "mi": random.choice([{}, {"a": 1}, {"a": 1, "b": -2, "c d": 3}]),
        "ms": random.choice([{}, {"a": "x"}, {"k": "v", "a": ""}]),
        "dy": random.choice(dynamic),
    }
    return data


class Generator:
    """Builds expressions of a wanted type; now and then it deliberately misses it."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._scope: list[tuple[str, str]] = list(VARIABLES.items())
        self._fresh = 0

    def expression(self) -> str:
        """Return one expression."""
        self._scope = list(VARIABLES.items())
        self._fresh = 0
        return self._of(self._random.choice(_TYPES), self._random.randint(1, 5))

    def _of(self, type_: str, depth: int) -> str:
        random = self._random
        if random.random() < 0.02:
            type_ = random.choice(_TYPES)
        if depth <= 0 or random.random() < 0.08:
            return self._leaf(type_)
        roll = random.random()
        if roll < 0.08:
            return (
                f"({self._of('bool', depth - 1)} ? {self._of(type_, depth - 1)} : "
                f"{self._of(type_, depth - 1)})"
            )
        if roll < 0.12 and type_ not in {"dyn", "null"}:
            return f"[{self._of(type_, depth - 1)}][{random.choice(['0', '0', '1', '-1'])}]"
        if roll < 0.16:
            key = random.choice(["'k'", "'a b'"])
            return f"{{{key}: {self._of(type_, depth - 1)}}}[{key}]"
        if roll < 0.18:
            return f"dyn({self._of(type_, depth - 1)})"
        if roll < 0.21:
            return self._bound(type_, depth)
        if roll < 0.24:
            return self._optional(type_, depth)
        rules = _RULES.get(type_)
        if rules is None:
            return self._collection(type_, depth)
        return self._fill(random.choice(rules), depth - 1)

    def _fill(self, rule: str, depth: int) -> str:
        """Replace `<type>` in a rule by expressions, `<pattern>` by a literal."""
        parts: list[str] = []
        while "<" in rule:
            before, _, rest = rule.partition("<<")
            if not rest:
                break
            type_, _, rule = rest.partition(">>")
            parts.append(before)
            parts.append(
                self._random.choice(_PATTERNS) if type_ == "pattern" else self._of(type_, depth)
            )
        return "".join(parts) + rule

    def _variable(self) -> str:
        self._fresh += 1
        return f"v{self._fresh}"

    def _scoped(self, name: str, type_: str, make: Callable[[], str]) -> str:
        self._scope.append((name, type_))
        try:
            return make()
        finally:
            self._scope.pop()

    def _bound(self, type_: str, depth: int) -> str:
        name = self._variable()
        other = self._random.choice(_TYPES)
        body = self._scoped(name, other, lambda: self._of(type_, depth - 1))
        return f"cel.bind({name}, {self._of(other, depth - 1)}, {body})"

    def _optional(self, type_: str, depth: int) -> str:
        random = self._random
        value = self._of(type_, depth - 1)
        default = self._of(type_, depth - 1)
        form = random.randrange(5)
        if form == 0:
            return f"optional.of({value}).orValue({default})"
        if form == 1:
            return f"[{value}][?{random.choice(['0', '1'])}].orValue({default})"
        if form == 2:
            return f"{{'a': {value}}}.?{random.choice('ab')}.orValue({default})"
        if form == 3:
            return f"optional.none().or(optional.of({value})).value()"
        name = self._variable()
        body = self._scoped(name, type_, lambda: self._of(type_, depth - 1))
        return f"optional.of({value}).optMap({name}, {body}).orValue({default})"

    def _leaf(self, type_: str) -> str:
        random = self._random
        names = [name for name, declared in self._scope if declared == type_]
        if names and random.random() < 0.5:
            return random.choice(names)
        literals = _LITERALS.get(type_)
        if literals is not None:
            return random.choice(literals)
        return self._collection(type_, 0)

    def _collection(self, type_: str, depth: int) -> str:
        random = self._random
        names = [name for name, declared in self._scope if declared == type_]
        if names and random.random() < 0.3:
            return random.choice(names)
        if type_.startswith("list("):
            return self._list(type_, type_[5:-1], depth)
        if type_.startswith("map("):
            key, _, value = type_[4:-1].partition(", ")
            return self._map(type_, key, value, depth)
        return "null"

    def _list(self, type_: str, element: str, depth: int) -> str:
        random = self._random
        form = random.randrange(7) if depth > 0 else 0
        if form == 1:
            return f"({self._of(type_, depth - 1)} + {self._of(type_, depth - 1)})"
        if form in {2, 3}:
            source = random.choice(["li", "ls", "mi", "list(int)", "dy", "dy.items"])
            kind = {"li": "int", "ls": "string", "mi": "string"}.get(source, "dyn")
            if source == "list(int)":
                source, kind = self._of("list(int)", depth - 1), "int"
            name = self._variable()
            body = self._scoped(name, kind, lambda: self._of(element, depth - 1))
            if form == 3:
                test = self._scoped(name, kind, lambda: self._of("bool", depth - 1))
                return f"{source}.map({name}, {test}, {body})"
            return f"{source}.map({name}, {body})"
        if form == 4:
            name = self._variable()
            test = self._scoped(name, element, lambda: self._of("bool", depth - 1))
            return f"{self._of(type_, depth - 1)}.filter({name}, {test})"
        if form == 5:
            optional = f"?optional.of({self._of(element, depth - 1)})"
            return f"[{optional}, {self._of(element, depth - 1)}]"
        count = random.randrange(4)
        return f"[{', '.join(self._of(element, depth - 1) for _ in range(count))}]"

    def _map(self, type_: str, key: str, value: str, depth: int) -> str:
        count = self._random.randrange(3)
        keys = dict.fromkeys(self._leaf(key) for _ in range(count))
        entries = [f"{one}: {self._of(value, depth - 1)}" for one in keys]
        return f"{{{', '.join(entries)}}}"


_LITERALS: Final[dict[str, tuple[str, ...] | list[str]]] = {
    "int": _INTS,
    "uint": _UINTS,
    "double": _DOUBLES,
    "string": _STRINGS,
    "bytes": _BYTES,
    "bool": ("true", "false"),
    "timestamp": _TIMES,
    "duration": _DURATIONS,
    "null": ("null",),
    "dyn": (
        "dy", "dy.a", "dy.b", "dy.a.a", "dy['a']", "dy.items", "dy.items[0]", "dyn(1)",
        "dyn('a')", "dyn(null)", "dyn(1.0)", "dyn([1])", "dyn({'a': 1})", "dy[0]",
    ),
}  # fmt: skip

_NUMBERS: Final = ("int", "uint", "double")
_ORDERED: Final = (*_NUMBERS, "string", "bytes", "bool", "timestamp", "duration", "dyn")

_RULES: Final[dict[str, list[str]]] = {
    "int": [
        *(f"(<<int>> {operator} <<int>>)" for operator in "+-*/%"),
        "-(<<int>>)", "size(<<string>>)", "<<list(int)>>.size()", "size(<<map(string, int)>>)",
        "size(<<bytes>>)", "int(<<double>>)", "int(<<uint>>)", "int(<<string>>)",
        "int(<<timestamp>>)", "<<timestamp>>.getFullYear()", "<<timestamp>>.getMonth()",
        "<<timestamp>>.getDayOfYear()", "<<timestamp>>.getDayOfWeek()", "<<timestamp>>.getHours()",
        "<<duration>>.getMinutes()", "<<duration>>.getSeconds()", "<<list(int)>>[<<int>>]",
        "<<map(string, int)>>[<<string>>]", "mi.a", "<<string>>.indexOf(<<string>>)",
        "<<string>>.lastIndexOf(<<string>>)", "<<timestamp>>.getHours('+02:00')",
    ],
    "uint": [
        *(f"(<<uint>> {operator} <<uint>>)" for operator in "+-*/%"),
        "uint(<<int>>)", "uint(<<double>>)", "uint(<<string>>)",
    ],
    "double": [
        *(f"(<<double>> {operator} <<double>>)" for operator in "+-*/"),
        "-(<<double>>)", "double(<<int>>)", "double(<<string>>)", "double(<<uint>>)",
    ],
    "string": [
        "(<<string>> + <<string>>)", "string(<<int>>)", "string(<<uint>>)", "string(<<bool>>)",
        "string(<<bytes>>)", "string(<<timestamp>>)", "string(<<duration>>)", "ms.a",
        "<<string>>.lowerAscii()", "<<string>>.upperAscii()", "<<string>>.trim()",
        "<<string>>.replace(<<string>>, <<string>>)", "<<string>>.substring(<<int>>)",
        "<<string>>.charAt(<<int>>)", "<<list(string)>>.join(<<string>>)", "<<string>>.reverse()",
        "<<string>>.substring(<<int>>, <<int>>)", "<<list(string)>>[<<int>>]",
    ],
    "bytes": ["(<<bytes>> + <<bytes>>)", "bytes(<<string>>)"],
    "bool": [
        *(f"(<<{kind}>> {operator} <<{kind}>>)" for kind in _ORDERED
          for operator in ("==", "!=", "<", "<=", ">", ">=")),
        "(<<list(int)>> == <<list(int)>>)", "(<<map(string, int)>> != <<map(string, int)>>)",
        "(<<dyn>> == <<dyn>>)", "(<<dyn>> in <<list(dyn)>>)", "!(<<bool>>)",
        *["(<<bool>> && <<bool>>)", "(<<bool>> || <<bool>>)"] * 4,
        "(<<int>> in <<list(int)>>)", "(<<string>> in <<map(string, int)>>)", "has(dy.a)",
        "has(dy.a.b)", "has(mi.a)", "<<string>>.contains(<<string>>)",
        "<<string>>.startsWith(<<string>>)", "<<string>>.endsWith(<<string>>)",
        "<<string>>.matches(<<pattern>>)", "matches(<<string>>, <<pattern>>)",
        "<<list(int)>>.all(v, <<bool>>)", "<<list(int)>>.exists(v, v > <<int>>)",
        "<<list(string)>>.exists_one(v, v == <<string>>)",
        "<<map(string, int)>>.all(v, v != <<string>>)",
        "dy.exists(v, v == <<dyn>>)", "dy.all(v, <<bool>>)", "bool(<<string>>)",
        "<<list(int)>>.all(v, 10 / v > 1)", "(type(<<dyn>>) == type(<<dyn>>))",
        "optional.of(<<int>>).hasValue()", "dy.?a.hasValue()", "dy.?a.b.hasValue()",
        "dy[?'a'].hasValue()", "(<<null>> == <<dyn>>)",
    ],
    "timestamp": [
        "(<<timestamp>> + <<duration>>)", "(<<timestamp>> - <<duration>>)",
        "timestamp(<<int>>)", "(<<duration>> + <<timestamp>>)", "timestamp(<<string>>)",
    ],
    "duration": [
        "(<<duration>> + <<duration>>)", "(<<duration>> - <<duration>>)",
        "(<<timestamp>> - <<timestamp>>)", "duration(<<string>>)",
    ],
    "dyn": [
        "dyn(<<int>>)", "dyn(<<string>>)", "dyn(<<double>>)", "dy.a", "dy[<<string>>]",
        "dy[<<int>>]", "dyn(<<list(int)>>)", "dyn(<<map(string, int)>>)", "(<<dyn>> + <<dyn>>)",
        "dyn(<<uint>>)", "dy.items[<<int>>]", "dy.items.map(v, v.a)[0]", "dyn(<<bool>>)",
        "<<dyn>>.a", "<<dyn>>[0]", "(<<dyn>> + <<int>>)", "-(<<dyn>>)",
    ],
    "null": ["null"],
}  # fmt: skip
