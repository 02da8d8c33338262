"""CEL's tokens, and what literals mean.

One compiled regular expression finds each token. It matches in linear time: alternatives start with
different characters, and an unterminated literal is looked for once, then ends the scan.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from kro.cel.values import INT_MAX, INT_MIN, UINT_MAX, Uint


class SyntaxFault(Exception):
    """The text is no CEL; `pos` is where. Private to the parser."""

    def __init__(self, pos: int, problem: str) -> None:
        self.pos = pos
        self.problem = problem
        super().__init__(problem)


class Token(NamedTuple):
    """One token.

    `kind` is the operator itself, or a word: ident, quoted, int, uint, float, str, bytes. The last
    token of every text has the kind `end`.
    """

    kind: str
    text: str
    pos: int


MAX_CODE_POINTS: Final = 100_000

_DOUBLE = r'"(?:[^"\\\n\r]|\\.)*"'
_SINGLE = r"'(?:[^'\\\n\r]|\\.)*'"
_DOUBLE3 = r'"""(?:[^\\"]|\\[\s\S]|"(?!""))*"""'
_SINGLE3 = r"'''(?:[^\\']|\\[\s\S]|'(?!''))*'''"
_RAW = r"[rR](?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|\"[^\"\n\r]*\"|'[^'\n\r]*')"
_TEXT = f"(?:{_DOUBLE3}|{_SINGLE3}|{_DOUBLE}|{_SINGLE}|{_RAW})"

_TOKEN: Final = re.compile(
    rf"""(?:[ \t\r\n\f]+|//[^\n]*)*+
    (?:
      (?P<float>[0-9]++(?:\.[0-9]++(?:[eE][+-]?[0-9]++)?|[eE][+-]?[0-9]++)|\.[0-9]++(?:[eE][+-]?[0-9]++)?)
    | (?P<uint>(?:0x[0-9a-fA-F]++|[0-9]++)[uU])
    | (?P<int>0x[0-9a-fA-F]++|[0-9]++)
    | (?P<bytes>[bB]{_TEXT})
    | (?P<str>{_TEXT})
    | (?P<ident>[A-Za-z_][A-Za-z0-9_]*+)
    | (?P<quoted>`[A-Za-z0-9_.\-/\ ]+`)
    | (?P<op>==|!=|<=|>=|&&|\|\||[\[\]{{}}().,\-!?:+*/%<>])
    | (?P<end>\Z)
    )""".replace("\n", " "),
    re.VERBOSE,
)

_WORDS: Final = frozenset({"in", "true", "false", "null"})
"""Identifiers that are tokens of their own."""


def tokenize(source: str) -> list[Token]:
    """Return the tokens of `source`, the last being `end`.

    Raises:
        SyntaxFault: a character or literal that no token starts with.
    """
    if len(source) > MAX_CODE_POINTS:
        raise SyntaxFault(
            0,
            f"expression code point size exceeds limit: size: {len(source)}, "
            f"limit {MAX_CODE_POINTS}",
        )
    tokens: list[Token] = []
    position = 0
    match = _TOKEN.match
    while True:
        found = match(source, position)
        if found is None:
            raise _unrecognized(source, position)
        kind = found.lastgroup
        assert kind is not None
        start, position = found.span(kind)
        text = source[start:position]
        if kind == "op" or text in _WORDS:
            kind = text
        tokens.append(Token(kind, text, start))
        if kind == "end":
            return tokens


_BLANKS: Final = re.compile(r"(?:[ \t\r\n\f]+|//[^\n]*)*+")


def _unrecognized(source: str, position: int) -> SyntaxFault:
    blanks = _BLANKS.match(source, position)
    at = position if blanks is None else blanks.end()
    rest = source[at : at + 3]
    if rest[:1] in {'"', "'"} or rest[1:2] in {'"', "'"}:
        return SyntaxFault(at, "Syntax error: string literal is not terminated on its line")
    if rest[:1] == "`":
        return SyntaxFault(
            at, "Syntax error: quoted name is not terminated, or holds a character it may not"
        )
    return SyntaxFault(at, f"Syntax error: token recognition error at: {rest[:1]!r}")


_SIMPLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "?": "?",
    "`": "`",
}
_ESCAPE: Final = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\'\"?`])|[xX](?P<hex>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})"
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})|(?P<bad>.?))",
    re.DOTALL,
)


def string_value(token: Token) -> str:
    """Return the text that a string token means.

    Raises:
        SyntaxFault: an escape that CEL does not have.
    """
    body, start, raw = _body(token.text, token.pos)
    if raw or "\\" not in body:
        return body
    return _ESCAPE.sub(lambda found: _character(found, start), body)


def _body(literal: str, start: int) -> tuple[str, int, bool]:
    """Return what stands between the quotes, where it starts, and whether it is raw."""
    raw = literal[0] in "rR"
    if raw:
        literal, start = literal[1:], start + 1
    marks = 3 if len(literal) >= 6 and literal[:3] in {'"""', "'''"} else 1
    return literal[marks:-marks], start + marks, raw


def _character(found: re.Match[str], start: int) -> str:
    kind = found.lastgroup
    digits = found[kind] if kind else ""
    if kind == "simple":
        return _SIMPLE[digits]
    if kind == "bad":
        raise SyntaxFault(
            start + found.start(), f"Syntax error: invalid escape sequence: {found[0]}"
        )
    code = int(digits, 8 if kind == "octal" else 16)
    if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        raise SyntaxFault(
            start + found.start(), f"Syntax error: invalid unicode code point: {found[0]}"
        )
    return chr(code)


def bytes_value(token: Token) -> bytes:
    """Return the bytes that a bytes token means: escapes are octets, other characters UTF-8.

    Raises:
        SyntaxFault: an escape that CEL does not have in bytes.
    """
    body, start, raw = _body(token.text[1:], token.pos + 1)
    if raw or "\\" not in body:
        return body.encode("utf-8", "surrogatepass")
    parts: list[bytes] = []
    end = 0
    for found in _ESCAPE.finditer(body):
        parts.append(body[end : found.start()].encode("utf-8", "surrogatepass"))
        end = found.end()
        kind = found.lastgroup
        if kind in {"hex", "octal"}:
            parts.append(bytes([int(found[kind], 16 if kind == "hex" else 8)]))
        elif kind == "simple":
            parts.append(_SIMPLE[found[kind]].encode())
        else:
            raise SyntaxFault(
                start + found.start(), f"Syntax error: invalid escape sequence: {found[0]}"
            )
    parts.append(body[end:].encode("utf-8", "surrogatepass"))
    return b"".join(parts)


def int_value(token: Token, *, negative: bool = False) -> int:
    """Return the int of a token with its sign.

    Raises:
        SyntaxFault: beyond 64 bits.
    """
    value = _integer(token.text)
    if negative:
        value = -value
    if INT_MIN <= value <= INT_MAX:
        return value
    raise SyntaxFault(token.pos, "invalid int literal")


def uint_value(token: Token) -> Uint:
    """Return the uint of a token.

    Raises:
        SyntaxFault: beyond 64 bits.
    """
    value = _integer(token.text[:-1])
    if value <= UINT_MAX:
        return Uint(value)
    raise SyntaxFault(token.pos, "invalid uint literal")


def _integer(digits: str) -> int:
    if digits.startswith("0x"):
        digits = digits[2:].lstrip("0")
        return int(digits or "0", 16) if len(digits) <= 16 else UINT_MAX + 1
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= 20 else UINT_MAX + 1


def float_value(token: Token) -> float:
    """Return the double of a token.

    Raises:
        SyntaxFault: too large for a double.
    """
    value = float(token.text)
    if value in {float("inf"), float("-inf")}:
        raise SyntaxFault(token.pos, "invalid double literal")
    return value
