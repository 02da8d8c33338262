from __future__ import annotations

from kro.cli.report import Diagnostic, Severity, in_order
from kro.errors import Excerpt


def test_text_has_place_path_message_hint_and_caret() -> None:
    """As compilers write it: editors jump to `file:line:column`."""
    found = Diagnostic(
        message="unknown field",
        file="a.yaml",
        line=12,
        column=5,
        path="spec.x",
        hint="did you mean y?",
        source="    x: 1",
        caret=4,
    )

    assert found.text() == (
        "a.yaml:12:5: spec.x: unknown field (did you mean y?)\n  12 |     x: 1\n     |     ^"
    )


def test_text_of_a_warning_without_place() -> None:
    """Parts that are not known are left out."""
    found = Diagnostic(message="nothing to do", file="a.yaml", severity=Severity.WARNING)

    assert found.text() == "a.yaml: warning: nothing to do"


def test_expression_without_place_in_the_line_is_shown_below() -> None:
    """The reader still sees what is meant."""
    excerpt = Excerpt(text="1 +", line=1, column=3)

    text = Diagnostic(message="m", expression=excerpt).text()

    assert text.splitlines()[1:] == ["    1 +", "       ^"]


def test_message_stays_in_one_line_and_keeps_its_end() -> None:
    """Tools read errors line by line; what is wrong stands at the end."""
    text = Diagnostic(message="in\n  " + "x" * 5000 + "\nbad").text()

    assert "\n" not in text
    assert len(text) < 1000
    assert text.endswith("bad")


def test_nothing_in_a_text_can_steer_a_terminal() -> None:
    """File names, sources and messages come from others."""
    evil = "\x1b[31m\u202e\x00"

    text = Diagnostic(message=evil, file=evil, path=evil, source=evil, line=1, column=1).text()

    assert not any(character in text for character in evil if not character.isprintable())


def test_order_is_that_of_the_files_and_within_them_of_lines() -> None:
    """Repetitions are dropped."""
    late = Diagnostic(message="late", file="b", line=2)
    early = Diagnostic(message="early", file="b", line=1)
    other = Diagnostic(message="other", file="a", line=9)

    assert in_order([late, other, early, late]) == [early, late, other]
