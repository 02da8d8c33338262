"""One expression at its place: which names it may use there, and what it must give.

Names are checked on the parsed expression before types are known; an expression whose names are
wrong is not type-checked, so that one mistake is told once.

Source: spec cel.md §3.6, §4; graph-and-rgd-controller.md §2.8, §2.11-2.17, §3.3.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kro.cel import Ast, CelType, Environment, Expression, References, Template, parse_template
from kro.errors import AuthorErrors, Excerpt, ExpressionError
from kro.graph.definition import Text
from kro.graph.node import INSTANCE_ID
from kro.graph.problems import Problems, did_you_mean, each

OMIT_MISPLACED = "omit() can only be used in resource template expressions"
OMIT_GATED = "omit() requires the CELOmitFunction feature gate to be enabled"

_SPECIAL = ("each", "runtime")
_SHOWN = 8
"""How many known names a hint lists."""
_KNOWN = "known here: "
_LISTED = 20
"""How many wrong names a problem lists."""
_LONGEST = 500
"""How much of an expression a problem repeats; the excerpt shows the rest."""

_Problem: TypeAlias = tuple[str, str, str]
"""What is wrong, the name that is, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A parsed expression whose names are in order."""

    template: Template
    path: str
    """Where it stands in the definition."""
    ast: Ast
    references: References

    @property
    def names(self) -> tuple[str, ...]:
        """Known identifiers that it refers to, in order of first use."""
        return self.references.names

    def place(self, name: str) -> Excerpt | None:
        """Return where the expression first uses `name`."""
        return self.references.places.get(name)


def shown(template: Template) -> str:
    """Return the text that messages show: the CEL between the braces, or the whole template."""
    text = template.matches[0].source if template.standalone else template.text
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class Inspector:
    """Parses expressions and checks their names against those of the definition."""

    def __init__(
        self, environment: Environment, ids: Iterable[str], problems: Problems, *, omit: bool
    ) -> None:
        self._environment = environment
        self._ids = tuple(dict.fromkeys(ids))
        self._known = frozenset((*self._ids, INSTANCE_ID, *_SPECIAL))
        self._problems = problems
        self._omit = omit

    def standalone(self, text: Text, where: str) -> Template | None:
        """Return a text that must be exactly one expression; what it is instead is reported."""
        try:
            template = parse_template(text.text)
        except ExpressionError as error:
            self._add(where + error.problem, text.path, error.excerpt)
            return None
        if template is not None and template.standalone:
            return template
        stripped = text.text.strip()
        hint = f"write ${{{stripped}}}"
        if template is not None:
            hint = "nothing may stand around ${...}, white space and line ends neither"
        elif not stripped or "${" in stripped:
            hint = "write ${expression}"
        self._add(f"{where}only standalone expressions are allowed", text.path, hint=hint)
        return None

    def inspect_free(
        self,
        template: Template,
        path: str,
        *,
        owner: str,
        where: str,
        iterators: Collection[str] = (),
    ) -> Inspected | None:
        """Check an expression that makes dependencies: template field, forEach, includeWhen.

        It may use `schema`, other resources and the iterators given.
        """
        prefix = f"{where}failed to inspect expression: "
        found = self._parse(template, path, prefix, iterators)
        if found is None:
            return None
        problems = self._free_problems(found.references, owner, where, iterators)
        return self._report(found, problems)

    def _free_problems(
        self, references: References, owner: str, where: str, iterators: Collection[str]
    ) -> Iterator[_Problem]:
        if references.uses_omit and not self._omit:
            yield OMIT_GATED, "omit()", ""
        for name in references.names:
            if name == "runtime":
                problem = "runtime is only available in status.conditions expressions"
                yield where + problem, name, ""
            elif name == "each":
                hint = "each is one object of a collection, in its readyWhen"
                yield f"{where}node each does not exist", name, hint
            elif name == owner and name not in iterators:
                yield f'{where}node "{owner}": self references are not allowed', name, ""
        for name in references.unknown:
            hint = self._hint(name, [INSTANCE_ID, *iterators, *self._ids])
            yield f"{where}references unknown identifiers: [{name}]", name, hint
        yield from self._unknown_functions(references, where)

    def inspect_restricted(
        self,
        template: Template,
        path: str,
        *,
        where: str,
        allowed: Collection[str],
        hint: str = "",
    ) -> Inspected | None:
        """Check an expression that may use the names in `allowed` and nothing else."""
        found = self._parse(template, path, where)
        if found is None:
            return None
        problems = self._restricted_problems(found.references, where, allowed, hint)
        return self._report(found, problems)

    def _restricted_problems(
        self, references: References, where: str, allowed: Collection[str], hint: str
    ) -> Iterator[_Problem]:
        unknown = f"{where}references unknown identifiers: "
        for name in references.names:
            if name not in allowed:
                yield f"{unknown}[{name}]", name, hint
        if references.unknown:
            first = references.unknown[0]
            yield f"{unknown}[{listed(references.unknown)}]", first, self._hint(first, allowed)
        yield from self._unknown_functions(references, where)
        if references.uses_omit:
            yield f"{where}{OMIT_MISPLACED}", "omit()", ""

    def _parse(
        self, template: Template, path: str, where: str, iterators: Collection[str] = ()
    ) -> Inspected | None:
        try:
            ast = self._environment.parse(template)
        except AuthorErrors as errors:
            for error in each(errors):
                problem = f"{where}parse error: {error.problem}"
                self._add(problem, path, error.excerpt, error.hint or _brace_hint(template))
            return None
        # A set made for each expression would cost as much as the definition has resources.
        known = {*self._known, *iterators} if iterators else self._known
        return Inspected(template, path, ast, self._environment.references(ast, known))

    def _unknown_functions(self, references: References, where: str) -> Iterator[_Problem]:
        names = [name for name in references.unknown_functions if name != "omit"]  # told as such
        if names:
            marked = listed([f"{{{name}}}" for name in names])
            yield f"{where}uses unknown functions: [{marked}]", names[0], ""

    def _hint(self, name: str, candidates: Iterable[str]) -> str:
        if name in ("self", "instance", "spec", "metadata", "this"):
            tail = "" if name in ("self", "instance", "this") else f".{name}"
            return f"the instance is schema: write schema{tail}"
        usable = [candidate for candidate in candidates if candidate not in _SPECIAL]
        return did_you_mean(name, usable) or _known(usable)

    def _report(self, found: Inspected, problems: Iterator[_Problem]) -> Inspected | None:
        whole = True
        for problem, name, hint in problems:
            if hint.startswith(_KNOWN) and _is_foreign(name, found.template):
                hint = f'a literal ${{{name}}} is written ${{"${{{name}}}"}}'
            self._add(problem, found.path, found.place(name), hint)
            whole = False
        return found if whole else None

    def _add(self, problem: str, path: str, excerpt: Excerpt | None = None, hint: str = "") -> None:
        self._problems.add(ExpressionError(problem, path=path, excerpt=excerpt, hint=hint))


def _known(names: Iterable[str]) -> str:
    ordered = sorted(names, key=lambda name: (name != INSTANCE_ID, name))
    more = ", …" if len(ordered) > _SHOWN else ""
    return f"{_KNOWN}{', '.join(ordered[:_SHOWN])}{more}"


def _is_foreign(name: str, template: Template) -> bool:
    """Return whether an unknown name looks like a variable of a shell or of a dashboard."""
    alone = any(match.source == name for match in template.matches)
    return alone and (name.isupper() or not template.standalone)


def listed(names: Sequence[str]) -> str:
    """Return names as messages list them: separated by spaces, the first of very many."""
    return " ".join((*names[:_LISTED], "…") if len(names) > _LISTED else names)


def _brace_hint(template: Template) -> str:
    """Return what to do about braces in single quotes, which end an expression, and doubled ones.

    Two pairs are what other tools have around their expressions; here the inner one is a map.
    """
    for match in template.matches:
        if match.source.count("'") % 2:
            return 'only double quotes protect braces: write "}"'
        if match.source.startswith("{") and match.source.endswith("}"):
            return f"write ${{{match.source[1:-1].strip():.60}}}"
    return ""


class Typed:
    """Declared types, and what is compiled under them: the same text is compiled once."""

    def __init__(self, environment: Environment, problems: Problems) -> None:
        self._environment = environment
        self._problems = problems
        self._compiled: dict[str, Expression] = {}

    def extend(self, variables: Mapping[str, CelType]) -> Typed:
        """Return the same with more variables."""
        return Typed(self._environment.extend(variables), self._problems) if variables else self

    def compile(self, found: Inspected, where: str) -> Expression | None:
        """Return the type-checked, compiled expression; type errors are reported behind `where`."""
        text = found.template.text
        known = self._compiled.get(text)
        if known is not None:
            return known
        try:
            compiled = self._environment.compile(found.ast)
        except AuthorErrors as errors:
            for error in each(errors):
                self._problems.add(
                    ExpressionError(
                        f"{where}{error.problem}",
                        path=found.path,
                        excerpt=error.excerpt,
                        hint=error.hint,
                    )
                )
            return None
        self._compiled[text] = compiled
        return compiled


def places(found: Iterable[Inspected]) -> Mapping[str, Inspected]:
    """Return, by name, the first expression that refers to it."""
    first: dict[str, Inspected] = {}
    for expression in found:
        for name in expression.names:
            first.setdefault(name, expression)
    return first
