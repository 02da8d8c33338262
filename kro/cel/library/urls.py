"""URLs as Go's `net/url` reads them: `url('https://…')` and its members.

A text is a URL if `url.ParseRequestURI` takes it; its parts come from `url.Parse`, which knows
fragments. Everything works on UTF-8 bytes, as percent-escapes do.

Source: Go 1.26 `net/url`; `apiserver/pkg/cel/library` of Kubernetes 1.36; spec: cel.md §2.9.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import ClassVar, Final

from kro.cel import celtypes
from kro.cel.budget import charge
from kro.cel.celtypes import BOOL, STRING, CelType, list_of, map_of
from kro.cel.failures import Failure
from kro.cel.functions import Library, free, function, member

URL_TYPE: Final = celtypes.opaque("kubernetes.URL")

_UNRESERVED: Final = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~"
)
_HOST: Final = _UNRESERVED | frozenset(b"!$&'()*+,;=:[]<>\"")
_PATH: Final = _UNRESERVED | frozenset(b"$&+,/:;=@")
_RAW_PATH: Final = _PATH | frozenset(b"!'()*[]%")
_FRAGMENT: Final = _UNRESERVED | frozenset(b"$&+,/:;=?@!()*")
_RAW_FRAGMENT: Final = _FRAGMENT | frozenset(b"'[]%")
_USER: Final = _UNRESERVED | frozenset(b"$&+,;=")
_USERINFO: Final = re.compile(rb"[A-Za-z0-9._:~!$&'()*+,;=%@-]*")
_SCHEME: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*)?:")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_PORT: Final = re.compile(rb"(?::[0-9]*)?")
_STRICT_SCHEMES: Final = frozenset({b"http", b"https"})
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})?")


@dataclass(frozen=True, slots=True)
class URL:
    """A parsed URL. Equal to another if both print the same."""

    cel_type: ClassVar[CelType] = URL_TYPE
    text: bytes
    """As Go's `URL.String` prints it."""
    scheme: bytes = field(compare=False)
    host: bytes = field(compare=False)
    """With its port, IPv6 addresses in brackets."""
    path: bytes = field(compare=False)
    """Escaped."""
    query: bytes = field(compare=False)
    """Not decoded, without `?`."""

    def hostname_and_port(self) -> tuple[bytes, bytes]:
        """Return the host without brackets, and the port, empty if there is none."""
        host, colon, port = self.host.rpartition(b":")
        if not colon or not _PORT.fullmatch(b":" + port):
            host, port = self.host, b""
        if host.startswith(b"[") and host.endswith(b"]"):
            host = host[1:-1]
        return host, port


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def parse_request_uri(text: str) -> URL:
    """Return the URL of an absolute URI, or of a path that starts with `/`.

    A fragment is part of what comes before it.

    Raises:
        ValueError: it is neither.
    """
    raw = text.encode("utf-8", "replace")
    if not raw:
        raise ValueError("empty url")
    if _CONTROL.search(raw):
        raise ValueError("invalid control character in URL")
    if raw == b"*":
        return URL(raw, b"", b"", raw, b"")
    return _parts(*_split_scheme(raw), viewed_as_request=True)


def parse_url(text: str) -> URL:
    """Return the URL of what `parse_request_uri` takes, its fragment set apart.

    Raises:
        ValueError: it takes no such text, or the fragment is malformed.
    """
    request = parse_request_uri(text)
    if text == "*":
        return request
    scheme, rest = _split_scheme(text.encode("utf-8", "replace"))
    rest, _, fragment = rest.partition(b"#")
    parsed = _parts(scheme, rest, viewed_as_request=False)
    printed = parsed.text
    if fragment:
        printed += b"#" + _reescape(fragment, _FRAGMENT, _RAW_FRAGMENT)
    return URL(printed, parsed.scheme, parsed.host, parsed.path, parsed.query)


def _split_scheme(raw: bytes) -> tuple[bytes, bytes]:
    found = _SCHEME.match(raw)
    if found is None:
        return b"", raw
    if found[1] is None:
        raise ValueError("missing protocol scheme")
    return found[1].lower(), raw[found.end() :]


def _parts(scheme: bytes, rest: bytes, *, viewed_as_request: bool) -> URL:
    """Return the URL of what follows the scheme, without fragment."""
    rest, question, query = rest.partition(b"?")
    prefix = scheme + b":" if scheme else b""
    suffix = question + query
    if not rest.startswith(b"/"):
        if not scheme:
            raise ValueError("invalid URI for request")
        return URL(prefix + rest + suffix, scheme, b"", b"", query)
    user = host = b""
    has_authority = (
        scheme or not (viewed_as_request or rest.startswith(b"///"))
    ) and rest.startswith(b"//")
    if has_authority:
        authority, slash, path = rest[2:].partition(b"/")
        user, host = _authority(scheme, authority)
        rest = slash + path
    path = _reescape(rest, _PATH, _RAW_PATH)
    printed_host = user + _escape(host, _HOST)
    if has_authority and (printed_host or path):
        prefix += b"//" + printed_host
    elif not scheme and path.startswith(b"//"):
        prefix += b"//"  # as Go: a path that looks like an authority gets an empty one before it
    return URL(prefix + path + suffix, scheme, host, path, query)


def _authority(scheme: bytes, authority: bytes) -> tuple[bytes, bytes]:
    """Return the user part as printed, `@` included, and the host."""
    userinfo, at, host = authority.rpartition(b"@")
    host = _host(scheme, host)
    if not at:
        return b"", host
    if not _USERINFO.fullmatch(userinfo):
        raise ValueError("invalid userinfo")
    name, colon, password = userinfo.partition(b":")
    printed = _escape(_unescape(name), _USER)
    if colon:
        printed += b":" + _escape(_unescape(password), _USER)
    return printed + b"@", host


def _host(scheme: bytes, host: bytes) -> bytes:
    if b"[" not in host:
        # Other schemes have hosts with more colons, such as `postgres://a:1,b:2/`.
        split = host.partition if scheme in _STRICT_SCHEMES else host.rpartition
        _, colon, port = split(b":")
        if colon and not _PORT.fullmatch(colon + port):
            raise ValueError(f"invalid port {_text(colon + port)!r} after host")
        return _unescape_host(host)
    if not host.startswith(b"["):
        raise ValueError("invalid IP-literal")
    literal, closing, port = host.rpartition(b"]")
    if not closing:
        raise ValueError("missing ']' in host")
    if not _PORT.fullmatch(port):
        raise ValueError(f"invalid port {_text(port)!r} after host")
    address, zoned, zone = literal[1:].partition(b"%25")
    address = _unescape_host(address)
    try:
        ipaddress.IPv6Address(_text(address))
    except ValueError as error:
        raise ValueError(f"invalid host: {error}") from error
    if zoned:
        zone = _unescape(zone)
        if not zone:
            raise ValueError("invalid host: empty zone")
        address += b"%" + zone
    return b"[" + address + b"]" + port


def _unescape_host(host: bytes) -> bytes:
    for found in _ESCAPE.finditer(host):
        if found[1] is None or int(found[1], 16) < 0x80:
            raise ValueError(f"invalid URL escape {_text(host[found.start() :][:3])!r}")
    for byte in host:
        if byte < 0x80 and byte not in _HOST and byte != 0x25:
            raise ValueError(f"invalid character {chr(byte)!r} in host name")
    return _unescape(host)


def _unescape(raw: bytes, *, plus: bool = False) -> bytes:
    if plus:
        raw = raw.replace(b"+", b" ")
    if b"%" not in raw:
        return raw

    def replacement(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            raise ValueError(f"invalid URL escape {_text(raw[found.start() :][:3])!r}")
        return bytes((int(found[1], 16),))

    return _ESCAPE.sub(replacement, raw)


def _escape(raw: bytes, allowed: frozenset[int]) -> bytes:
    if allowed.issuperset(raw):
        return raw
    return b"".join(bytes((byte,)) if byte in allowed else b"%%%02X" % byte for byte in raw)


def _reescape(raw: bytes, allowed: frozenset[int], allowed_raw: frozenset[int]) -> bytes:
    """Return `raw` if it is escaped well enough, else its text escaped anew."""
    decoded = _unescape(raw)
    return raw if allowed_raw.issuperset(raw) else _escape(decoded, allowed)


def parse_query(raw: bytes) -> dict[str, list[str]]:
    """Return the values of a query by name; parts that are malformed are left out, as Go does."""
    values: dict[str, list[str]] = {}
    for part in raw.split(b"&"):
        if not part or b";" in part:
            continue
        name, _, value = part.partition(b"=")
        try:
            key = _text(_unescape(name, plus=True))
            values.setdefault(key, []).append(_text(_unescape(value, plus=True)))
        except ValueError:
            continue
    return {name: found for name, found in values.items() if found}


def url(text: str) -> URL:
    """`url(string)`.

    Raises:
        Failure: it is none.
    """
    charge(len(text))
    try:
        return parse_url(text)
    except ValueError as error:
        raise Failure(f"URL parse error during conversion from string: {error}") from error


def is_url(text: str) -> bool:
    """`isURL(string)`."""
    charge(len(text))
    try:
        parse_request_uri(text)
    except ValueError:
        return False
    return True


def _query(parsed: URL) -> dict[str, list[str]]:
    charge(len(parsed.query))
    return parse_query(parsed.query)


LIBRARY: Final = Library(
    "kubernetes.urls",
    functions=(
        function("url", [free("string_to_url", STRING, result=URL_TYPE, call=url)]),
        function("isURL", [free("is_url_string", STRING, result=BOOL, call=is_url)]),
        *(
            function(name, [member(f"url_{name}", URL_TYPE, result=STRING, call=call)])
            for name, call in (
                ("getScheme", lambda parsed: _text(parsed.scheme)),
                ("getHost", lambda parsed: _text(parsed.host)),
                ("getHostname", lambda parsed: _text(parsed.hostname_and_port()[0])),
                ("getPort", lambda parsed: _text(parsed.hostname_and_port()[1])),
                ("getEscapedPath", lambda parsed: _text(parsed.path)),
            )
        ),
        function(
            "getQuery",
            [
                member(
                    "url_get_query",
                    URL_TYPE,
                    result=map_of(STRING, list_of(STRING)),
                    call=_query,
                )
            ],
        ),
    ),
)
