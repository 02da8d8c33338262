"""URLs as Go's `net/url` reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kro.cel.library.urls import parse_query, parse_url


@pytest.mark.parametrize(
    ("text", "scheme", "host", "hostname", "port", "path", "query"),
    [
        pytest.param(
            "https://user@example.com:8080/a%20b/c?x=1&y=2&x=3#frag",
            "https", "example.com:8080", "example.com", "8080", "/a%20b/c", "x=1&y=2&x=3",
            id="every part",
        ),
        pytest.param("/abs/path", "", "", "", "", "/abs/path", "", id="a path alone"),
        pytest.param("https://[::1]:80/", "https", "[::1]:80", "::1", "80", "/", "", id="IPv6"),
        pytest.param("HTTP://Host", "http", "Host", "Host", "", "", "", id="scheme lowered"),
        pytest.param("mailto:x@y", "mailto", "", "", "", "", "", id="opaque"),
        pytest.param(
            "https://h/a b?q= x", "https", "h", "h", "", "/a%20b", "q= x", id="spaces tolerated"
        ),
        pytest.param("//h/p", "", "h", "h", "", "/p", "", id="no scheme but a host"),
        pytest.param("https://h/%2f+ü", "https", "h", "h", "", "//+%C3%BC", "", id="re-escaped"),
        pytest.param("https://h:/", "https", "h:", "h", "", "/", "", id="empty port"),
        pytest.param("https://h/?", "https", "h", "h", "", "/", "", id="empty query"),
    ],
)  # fmt: skip
def test_parts_are_told_apart(
    text: str, scheme: str, host: str, hostname: str, port: str, path: str, query: str
) -> None:
    """The parts are those that Go's URL hands out."""
    url = parse_url(text)

    assert (url.scheme, url.host, url.path, url.query) == tuple(
        part.encode() for part in (scheme, host, path, query)
    )
    assert url.hostname_and_port() == (hostname.encode(), port.encode())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("a", id="relative"),
        pytest.param(":x", id="no scheme before the colon"),
        pytest.param("https://a:b:c/", id="port with letters"),
        pytest.param("https://a:1:2/", id="two ports"),
        pytest.param("https://a#frag", id="fragment in the host"),
        pytest.param("https://a b/", id="blank in the host"),
        pytest.param("https://a/%zz", id="bad escape"),
        pytest.param("https://%41/", id="escaped ASCII in the host"),
        pytest.param("https://[::1/", id="open bracket"),
        pytest.param("https://[1.2.3.4]/", id="IPv4 in brackets"),
        pytest.param("https://x[::1]/", id="bracket in the middle"),
        pytest.param("https://u ser@h/", id="blank in the user"),
        pytest.param("https://h/\n", id="line break"),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    """What ParseRequestURI refuses is no URL."""
    with pytest.raises(ValueError, match=r"."):
        parse_url(text)


def test_query_values_are_collected_by_name() -> None:
    """Names repeat, values default to the empty text, malformed parts are left out."""
    assert parse_query(b"k1=a&k2=b&k2=c&k&x=%zz&a;b=c&p=1+2%20&=v") == {
        "k1": ["a"],
        "k2": ["b", "c"],
        "k": [""],
        "p": ["1 2 "],
        "": ["v"],
    }


def test_urls_are_equal_if_they_print_the_same() -> None:
    """The case of the scheme does not matter, the case of the host does."""
    assert parse_url("HTTPS://h/p") == parse_url("https://h/p")
    assert parse_url("https://H/p") != parse_url("https://h/p")
    assert parse_url("https://h/p#f") != parse_url("https://h/p")


@given(st.text("abAB:/?#[]@%20.é &=+;\t", max_size=30))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    """No text leads to anything but a URL or a ValueError, and what prints reads back as equal."""
    try:
        url = parse_url("http://" + text)
    except ValueError:
        return
    if b"?" not in url.text:
        assert parse_url(url.text.decode()).path == url.path
