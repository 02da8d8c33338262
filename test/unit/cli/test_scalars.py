from __future__ import annotations

import pytest

from kro.cli.scalars import ScalarError, plain, tagged


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("Null", None),
        ("true", True),
        ("Yes", True),
        ("OFF", False),
        ("y", True),
        ("N", False),
        ("yEs", "yEs"),
        ("0", 0),
        ("-12", -12),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0b101", 5),
        ("0o17", 15),
        ("017", 15),
        ("018", 18.0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        ("0x", "0x"),
        ("${a}", "${a}"),
    ],
)
def test_plain_scalar_has_the_value_that_kubectl_reads(text: str, value: object) -> None:
    """Booleans of YAML 1.1, no dates, no sexagesimal numbers."""
    found = plain(text)

    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".NaN", "1e999", "9" * 500])
def test_number_that_json_does_not_have_is_refused(text: str) -> None:
    """It could not be written to the API server."""
    with pytest.raises(ScalarError):
        plain(text)


def test_core_tags_decide_over_the_look() -> None:
    """`!!str 1` is a text; other tags have no meaning in JSON."""
    assert tagged("tag:yaml.org,2002:str", "1") == "1"
    assert tagged("!", "true") == "true"
    assert tagged("tag:yaml.org,2002:float", "1") == 1.0
    with pytest.raises(ScalarError, match="no int"):
        tagged("tag:yaml.org,2002:int", "x")
    with pytest.raises(ScalarError, match="no int"):
        tagged("tag:yaml.org,2002:int", "true")
    with pytest.raises(ScalarError, match="no meaning"):
        tagged("!secret", "x")
