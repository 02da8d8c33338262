"""The parser: precedence climbing with an operator stack, two Python frames for each nesting level.

Depth is bounded twice: nested brackets while parsing, and the height of the tree afterwards. Both
bounds are those of cel-go (250). Chains of `&&` and of `||` are one node and do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NoReturn

from kro.cel import lexer
from kro.cel.functions import Macro
from kro.cel.lexer import SyntaxFault, Token, tokenize
from kro.cel.syntax import (
    Bind,
    Call,
    Entry,
    Fold,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    MessageLiteral,
    Node,
    OptionalMap,
    Select,
)

MAX_DEPTH: Final = 250

RESERVED: Final = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
"""Words that no identifier may be. They may follow a dot."""

_BINARY: Final[Mapping[str, tuple[int, str]]] = {
    "||": (1, "_||_"),
    "&&": (2, "_&&_"),
    "==": (3, "_==_"),
    "!=": (3, "_!=_"),
    "<": (3, "_<_"),
    "<=": (3, "_<=_"),
    ">": (3, "_>_"),
    ">=": (3, "_>=_"),
    "in": (3, "@in"),
    "+": (4, "_+_"),
    "-": (4, "_-_"),
    "*": (5, "_*_"),
    "/": (5, "_/_"),
    "%": (5, "_%_"),
}

MacroTable = Mapping[tuple[str, int, bool], tuple[Macro, ...]]
"""Macros by name, number of arguments, and whether they are called on a target."""


class Parser:
    """Parses one text. Macros are expanded on the way up."""

    def __init__(
        self, source: str, macros: MacroTable, spans: dict[Node, tuple[int, int]] | None = None
    ) -> None:
        """Take the text; `spans`, if given, receives start and end of every node."""
        self._spans = spans
        self._tokens = tokenize(source)
        self._macros = macros
        self._index = 0
        self._depth = 0

    def parse(self) -> Node:
        """Return the tree of the whole text.

        Raises:
            SyntaxFault: at the first place where the text cannot go on.
        """
        root = self._expression()
        if self._tokens[self._index].kind != "end":
            self._unexpected("an operator or the end of the expression")
        return root

    def fail(self, node: Node, problem: str) -> NoReturn:
        """Report a syntax error at `node` (for macros)."""
        raise SyntaxFault(node.pos, problem)

    def _span(self, node: Node, start: int) -> None:
        """Note that `node` goes from `start` to the last token taken."""
        if self._spans is not None and node not in self._spans:
            last = self._tokens[self._index - 1]
            self._spans[node] = (start, last.pos + len(last.text))

    def _unexpected(self, expected: str) -> NoReturn:
        token = self._tokens[self._index]
        found = "end of expression" if token.kind == "end" else f"'{token.text}'"
        raise SyntaxFault(token.pos, f"Syntax error: unexpected {found}, expected {expected}")

    def _expect(self, kind: str, expected: str) -> Token:
        token = self._tokens[self._index]
        if token.kind != kind:
            self._unexpected(expected)
        self._index += 1
        return token

    def _skip(self, kind: str) -> bool:
        if self._tokens[self._index].kind == kind:
            self._index += 1
            return True
        return False

    def _expression(self, *, conditional: bool = True) -> Node:
        """Parse `a || b ? c : d`; without `conditional` up to `?` only."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SyntaxFault(
                self._tokens[self._index].pos, f"expression recursion limit exceeded: {MAX_DEPTH}"
            )
        tokens = self._tokens
        start = tokens[self._index].pos
        choices: list[tuple[Node, Node, int]] = []
        while True:
            operands = [self._operand()]
            operators: list[tuple[int, str, int]] = []
            while (operator := _BINARY.get(tokens[self._index].kind)) is not None:
                level, name = operator
                while operators and operators[-1][0] >= level:
                    self._reduce(operands, operators)
                operators.append((level, name, tokens[self._index].pos))
                self._index += 1
                operands.append(self._operand())
            while operators:
                self._reduce(operands, operators)
            node = operands[0]
            if not conditional or tokens[self._index].kind != "?":
                break
            position = tokens[self._index].pos
            self._index += 1
            chosen = self._expression(conditional=False)
            self._expect(":", "':' and the other branch of '?:'")
            choices.append((node, chosen, position))
            if len(choices) > MAX_DEPTH:
                raise SyntaxFault(position, f"expression recursion limit exceeded: {MAX_DEPTH}")
        for condition, chosen, position in reversed(choices):
            node = Call(position, "_?_:_", [condition, chosen, node])
            self._span(node, self._spans[condition][0] if self._spans is not None else start)
        self._depth -= 1
        return node

    def _reduce(self, operands: list[Node], operators: list[tuple[int, str, int]]) -> None:
        level, name, pos = operators.pop()
        right = operands.pop()
        left = operands.pop()
        if level <= 2 and type(left) is Call and left.function == name and left.target is None:
            # `a && b && c` is one node. A bracketed `(a && b) && c` means the same.
            left.args.append(right)
            if self._spans is not None:
                self._spans[left] = (self._spans[left][0], self._spans[right][1])
            operands.append(left)
        else:
            node = Call(pos, name, [left, right])
            operands.append(node)
            if self._spans is not None:
                self._spans[node] = (self._spans[left][0], self._spans[right][1])

    def _operand(self) -> Node:  # noqa: C901 - split, it would take more frames a level
        """Parse a literal, a name or brackets with what follows them; or `!`, `-` of that."""
        tokens = self._tokens
        token = first = tokens[self._index]
        kind = token.kind
        node: Node
        constant = _CONSTANTS.get(kind)
        if kind == "!" or kind == "-":
            count = 0
            while tokens[self._index].kind == kind:
                self._index += 1
                count += 1
            following = tokens[self._index].kind
            if following == "!" or following == "-":
                self._unexpected("an operand; put parentheses around it")
            if kind == "!" or count > 1 or following not in _NEGATIVE:
                node = self._operand()
                if count % 2:
                    node = Call(first.pos, f"{kind}_", [node])
                    self._span(node, first.pos)
                return node
            token = tokens[self._index]
            constant = _NEGATIVE[following]
            kind = "constant"
        self._index += 1
        if kind == "ident" or kind == ".":
            name = token if kind == "ident" else self._expect("ident", "a name")
            if name.text in RESERVED:
                raise SyntaxFault(name.pos, f"reserved identifier: {name.text}")
            if tokens[self._index].kind == "(":
                node = self._call(name.pos, name.text, None)
            else:
                node = Ident(name.pos, name.text, kind == ".")
        elif kind == "(":
            node = self._expression()
            self._expect(")", "')'")
            if self._spans is not None:
                self._spans[node] = (first.pos, tokens[self._index - 1].pos + 1)
        elif constant is not None:
            node = Literal(first.pos, constant(token))
        elif kind == "[":
            node = self._list(token.pos)
        elif kind == "{":
            node = MapLiteral(token.pos, self._entries(message=False))
        else:
            self._index -= 1
            self._unexpected("an expression")
        while True:
            self._span(node, first.pos)
            token = tokens[self._index]
            kind = token.kind
            if kind == ".":
                self._index += 1
                optional = self._skip("?")
                name = self._field()
                if tokens[self._index].kind == "(" and not optional and name.kind == "ident":
                    node = self._call(name.pos, name.text, node)
                else:
                    field = name.text[1:-1] if name.kind == "quoted" else name.text
                    node = Select(name.pos, node, field, False, optional)
            elif kind == "[":
                self._index += 1
                function = "_[?_]" if self._skip("?") else "_[_]"
                index = self._expression()
                self._expect("]", "']'")
                node = Call(token.pos, function, [node, index])
            elif kind == "{":
                message = _qualified(node)
                if message is None:
                    return node
                self._index += 1
                node = MessageLiteral(token.pos, message, self._entries(message=True))
            else:
                return node

    def _field(self) -> Token:
        token = self._tokens[self._index]
        if token.kind not in {"ident", "quoted"}:
            self._unexpected("a field name")
        self._index += 1
        return token

    def _call(self, pos: int, function: str, target: Node | None) -> Node:
        self._index += 1
        arguments: list[Node] = []
        if not self._skip(")"):
            while True:
                arguments.append(self._expression())
                if not self._skip(","):
                    break
            self._expect(")", "',' or ')'")
        call = Call(pos, function, arguments, target)
        for macro in self._macros.get((function, len(arguments), target is not None), ()):
            if macro.namespace and not _names(target, macro.namespace):
                continue
            expanded = macro.expand(self, call)
            if expanded is not None:
                return expanded
        return call

    def _list(self, pos: int) -> Node:
        elements: list[Node] = []
        optional: set[int] = set()
        while self._tokens[self._index].kind not in {"]", ","}:
            if self._skip("?"):
                optional.add(len(elements))
            elements.append(self._expression())
            if self._tokens[self._index].kind != ",":
                break
            self._index += 1
            if self._tokens[self._index].kind == "]":
                self._index -= 1
                break
        self._skip(",")
        self._expect("]", "',' or ']'")
        return ListLiteral(pos, elements, frozenset(optional))

    def _entries(self, *, message: bool) -> list[Entry]:
        entries: list[Entry] = []
        while self._tokens[self._index].kind not in {"}", ","}:
            start = self._tokens[self._index].pos
            optional = self._skip("?")
            if message:
                field = self._field()
                name = field.text[1:-1] if field.kind == "quoted" else field.text
                key: Node = Literal(field.pos, name)
            else:
                key = self._expression()
            colon = self._expect(":", "':' and a value")
            entries.append(
                Entry(colon.pos if not optional else start, key, self._expression(), optional)
            )
            if self._tokens[self._index].kind != ",":
                break
            self._index += 1
            if self._tokens[self._index].kind == "}":
                self._index -= 1
                break
        self._skip(",")
        self._expect("}", "',' or '}'")
        return entries


_CONSTANTS: Final[Mapping[str, Callable[[Token], object]]] = {
    "int": lexer.int_value,
    "uint": lexer.uint_value,
    "float": lexer.float_value,
    "str": lexer.string_value,
    "bytes": lexer.bytes_value,
    "true": lambda _: True,
    "false": lambda _: False,
    "null": lambda _: None,
}
_NEGATIVE: Final[Mapping[str, Callable[[Token], object]]] = {
    "int": lambda token: lexer.int_value(token, negative=True),
    "float": lambda token: -lexer.float_value(token),
}


def _names(node: Node | None, name: str) -> bool:
    return type(node) is Ident and node.name == name


def _qualified(node: Node) -> str | None:
    """Return `a.b.c` for a plain chain of selections from a name."""
    parts: list[str] = []
    while type(node) is Select and not node.optional and not node.test:
        parts.append(node.field)
        node = node.operand
    if type(node) is not Ident:
        return None
    parts.append(("." if node.absolute else "") + node.name)
    return ".".join(reversed(parts))


def children(node: Node) -> list[Node]:
    """Return the direct sub-expressions of a node, in the order of the text."""
    match node:
        case Select():
            return [node.operand]
        case Call():
            return node.args if node.target is None else [node.target, *node.args]
        case ListLiteral():
            return node.elements
        case MapLiteral() | MessageLiteral():
            return [part for entry in node.entries for part in (entry.key, entry.value)]
        case Fold():
            parts = [node.range, node.predicate, node.body]
            return [part for part in parts if part is not None]
        case Bind():
            return [node.init, node.body]
        case OptionalMap():
            return [node.target, node.body]
        case _:
            return []


def height(root: Node) -> tuple[int, Node]:
    """Return the height of a tree, leaves being 0, and one of the deepest nodes. Not recursive."""
    deepest, at = 0, root
    stack = [(root, 0)]
    while stack:
        node, level = stack.pop()
        if level > deepest:
            deepest, at = level, node
        stack.extend((child, level + 1) for child in children(node))
    return deepest, at
