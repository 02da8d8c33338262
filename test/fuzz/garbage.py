"""Throws random bytes, broken expressions and deep ones at the parser, checker and evaluator.

Whatever the input, only an author error or an evaluation error may come out, and in bounded time.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Final

from fuzz.expressions import VARIABLES, Generator
from kro.cel import DYN, Environment, parse_template
from kro.errors import AuthorError, AuthorErrors, EvaluationError

SLOW_S: Final = 2.0
"""An input that takes more processor time fails the run."""

_PIECES: Final = [
    "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "+", "-", "*", "/", "%", "!", "&&", "||",
    "==", "!=", "<", "<=", ">", ">=", "in", "true", "false", "null",
    "0", "1u", "2.5", "1e", "0x", "if", "for", "as", "namespace", "99999999999999999999",
    "'", '"', "'''", '"""', "r'", 'b"', "\\", "\\x", "\\u", "\\q",
    "`", "`a.b`", "//", "#", "$", "${", "}", "x", "_a", "é", "😀",
    ".map(", ".all(x,", "has(", "cel.bind(", ".?a", "[?0]", "{?'a':", "optional.of(",
    "timestamp(",
    ".transformMap(k,v,", "dyn(", "type(", ".exists_one(i,v,", "runtime.newCondition({",
    "\ud800",
    "\x00",
    " ",
    "\n",
]  # fmt: skip

_AROUND: Final = [
    "(@)", "[@]", "[@][0]", "{'k': @}", "{'k': @}.k", "(@).b.c", "a[@]", "a[?@]", "a.?b.orValue(@)",
    "(@) + a", "a + string(@)", "!(@)", "-(@)", "(@ == a)", "(@ in [1, 2])", "(@) ? a : 1",
    "a && @", "@ || a", "has(a.b) ? @ : 1", "string(@)", "type(@)", "dyn(@)", "size([@])",
    "[1].map(x, @)", "[@].map(x, x)", "[1].all(x, @ == x)", "[1].exists(x, @ != x)",
    "[1, 2].filter(x, @ == 1)", "[@].exists_one(x, true)", "[@].sortBy(x, x)",
    "[1].transformMap(i, v, @)", "{'a': 1}.transformList(k, v, @)",
    "cel.bind(y, @, y)", "cel.bind(y, 1, @)", "cel.bind(y, [1], @)",
    "optional.of(@).orValue(1)", "optional.of(@).optMap(z, z)", "[?optional.of(@)]",
    "{?'q': optional.of(@)}", "'%s'.format([@])", "a.replace(string(@), 'q')",
]  # fmt: skip
"""What an expression, put for the @, can stand in."""


@dataclass
class Tally:
    """Counts of one run."""

    inputs: int = 0
    compiled: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Count what another run has counted, too."""
        self.inputs += other.inputs
        self.compiled += other.compiled
        self.failures += other.failures


def run(seed: int, count: int, deadline: float) -> Tally:
    """Try up to `count` inputs until the clock shows `deadline`."""
    source = random.Random(seed)
    generator = Generator(source)
    environment = Environment(dict.fromkeys(VARIABLES, DYN), omit=True)
    tally = Tally()
    while tally.inputs < count and time.monotonic() < deadline:
        text = _input(source, generator)
        started = time.process_time()
        tally.inputs += 1
        try:
            template = parse_template(text)
            if template is not None:
                environment.compile(template)
            expression = environment.compile(text)
            tally.compiled += 1
            expression.evaluate({**dict.fromkeys(VARIABLES, 1), "a": {"b": {"c": 3}}})
        except (AuthorError, AuthorErrors, EvaluationError):
            pass
        except BaseException as error:  # noqa: BLE001 - that is what the run looks for
            tally.failures.append(f"{type(error).__name__}: {error!s:.200}\n  input: {text!r:.500}")
        took = time.process_time() - started
        if took > SLOW_S:
            tally.failures.append(f"took {took:.1f} s\n  input: {text!r:.500}")
    return tally


def _input(source: random.Random, generator: Generator) -> str:
    form = source.randrange(11)
    if form < 5:
        return _mutated(source, generator.expression())
    if form < 7:
        return "".join(source.choice(_PIECES) for _ in range(source.randint(1, 40)))
    if form < 8:
        return source.randbytes(source.randint(0, 60)).decode("latin-1")
    if form < 9:
        return _deep(source, generator.expression())
    if form < 10:
        return source.randbytes(source.randint(0, 60)).decode("utf-8", "surrogateescape")
    return _mutated(source, source.choice(_PIECES) * source.choice([10, 100, 300, 1000]))


def _deep(source: random.Random, text: str) -> str:
    """Return the text inside of up to 250 others, of a few forms."""
    forms = source.sample(_AROUND, source.randint(1, 5))
    for _ in range(source.choice([3, 10, 30, 60, 120, 250])):
        text = source.choice(forms).replace("@", text)
    return text


def _mutated(source: random.Random, text: str) -> str:
    """Return the text with some characters or pieces removed, doubled, inserted, turned round."""
    for _ in range(source.randint(1, 4)):
        at = source.randint(0, len(text))
        upto = min(len(text), at + source.randint(0, 6))
        change = source.randrange(4)
        if change == 0:
            text = text[:at] + text[upto:]
        elif change == 1:
            text = text[:at] + text[at:upto] * 2 + text[upto:]
        elif change == 2:
            text = text[:at] + source.choice(_PIECES) + text[at:]
        else:
            text = text[:at] + text[at:upto][::-1] + text[upto:]
    return f"a${{{text}}}" if source.random() < 0.1 else text
