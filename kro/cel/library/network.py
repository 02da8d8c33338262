"""IP addresses and networks: `ip('::1')`, `cidr('10.0.0.0/8')` and their members.

Addresses are an integer and a family. Texts follow Go's `netip`: no zones, no leading zeros.

Two dialects exist. Kubernetes refuses every IPv4-mapped IPv6 address; cel-go's own network
extension, which the conformance suite uses, refuses the dotted form only and takes `::ffff:c0a8:1`
for IPv4.

Source: `apiserver/pkg/cel/library` of Kubernetes 1.36; cel-go `ext/network`; spec: cel.md §2.9.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias, final

from kro.cel import celtypes
from kro.cel.celtypes import BOOL, INT, STRING, CelType, type_of
from kro.cel.failures import Failure, NoSuchOverload
from kro.cel.functions import Function, Library, free, function, member
from kro.cel.values import TypeValue

IP_TYPE: Final = celtypes.opaque("net.IP")
CIDR_TYPE: Final = celtypes.opaque("net.CIDR")

_BITS: Final = {4: 32, 6: 128}
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,2}")
_LONGEST: Final = 256
_MAPPED: Final = 0xFFFF


@final
class IP:
    """An address: `family` is 4 or 6, `number` its bits."""

    __slots__ = ("family", "number")
    cel_type: ClassVar[CelType] = IP_TYPE

    def __init__(self, family: int, number: int) -> None:
        self.family = family
        self.number = number

    def __eq__(self, other: object) -> bool:
        """Return whether both are the same address of the same family."""
        return isinstance(other, IP) and self.family == other.family and self.number == other.number

    def __hash__(self) -> int:
        """Return a hash that agrees with `==`."""
        return hash((IP, self.family, self.number))

    def __str__(self) -> str:
        """Return the canonical text."""
        if self.family == 4:
            return str(ipaddress.IPv4Address(self.number))
        return ipaddress.IPv6Address(self.number).compressed

    def under(self, prefix: int, bits: int) -> bool:
        """Return whether the first `bits` bits are `prefix`."""
        return self.number >> (_BITS[self.family] - bits) == prefix

    def is_unspecified(self) -> bool:
        """Return whether this is `0.0.0.0` or `::`."""
        return self.number == 0

    def is_loopback(self) -> bool:
        """Return whether this is in `127.0.0.0/8`, or `::1`."""
        return self.under(127, 8) if self.family == 4 else self.number == 1

    def is_multicast(self) -> bool:
        """Return whether this is in `224.0.0.0/4` or `ff00::/8`."""
        return self.under(0xE, 4) if self.family == 4 else self.under(0xFF, 8)

    def is_link_local_multicast(self) -> bool:
        """Return whether this is in `224.0.0.0/24`, or multicast of link-local scope."""
        if self.family == 4:
            return self.under(0xE00000, 24)
        return self.number >> 112 & 0xFF0F == 0xFF02

    def is_link_local_unicast(self) -> bool:
        """Return whether this is in `169.254.0.0/16` or `fe80::/10`."""
        return self.under(0xA9FE, 16) if self.family == 4 else self.under(0xFE80 >> 6, 10)

    def is_global_unicast(self) -> bool:
        """Return whether this is unicast beyond the link; private addresses are."""
        if self.family == 4 and self.number == 2**32 - 1:
            return False
        return not (
            self.is_unspecified()
            or self.is_loopback()
            or self.is_multicast()
            or self.is_link_local_unicast()
        )


@final
class CIDR:
    """A network: an address, host bits kept, and the length of its prefix."""

    __slots__ = ("ip", "length")
    cel_type: ClassVar[CelType] = CIDR_TYPE

    def __init__(self, ip: IP, length: int) -> None:
        self.ip = ip
        self.length = length

    def __eq__(self, other: object) -> bool:
        """Return whether address, host bits included, and length are the same."""
        return isinstance(other, CIDR) and self.length == other.length and self.ip == other.ip

    def __hash__(self) -> int:
        """Return a hash that agrees with `==`."""
        return hash((CIDR, self.ip, self.length))

    def __str__(self) -> str:
        """Return the text with the host bits as given."""
        return f"{self.ip}/{self.length}"

    def masked(self) -> CIDR:
        """Return the network with its host bits cleared."""
        host_bits = _BITS[self.ip.family] - self.length
        return CIDR(IP(self.ip.family, self.ip.number >> host_bits << host_bits), self.length)

    def contains_ip(self, ip: IP) -> bool:
        """Return whether the address is of this family and in this network."""
        host_bits = _BITS[self.ip.family] - self.length
        same_family = self.ip.family == ip.family
        return same_family and self.ip.number >> host_bits == ip.number >> host_bits

    def contains_cidr(self, other: CIDR) -> bool:
        """Return whether every address of the other network is in this one."""
        return self.length <= other.length and self.contains_ip(other.ip)


AddressParser: TypeAlias = Callable[[str], IP]
"""Returns the address of a text or raises Failure."""


def _parse_any(text: str) -> IP | None:
    """Return the address of a text without zone; None if it is none."""
    if len(text) > _LONGEST:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return IP(address.version, int(address))


def _is_mapped(ip: IP) -> bool:
    return ip.family == 6 and ip.number >> 32 == _MAPPED


def _address(text: str, what: str) -> IP:
    """Return the address of a text, IPv4-mapped ones included.

    Raises:
        Failure: it is none, or has a zone; the message begins with `what`.
    """
    address, zoned, zone = text.partition("%")
    ip = _parse_any(address)
    if ip is None or (zoned and (not zone or ip.family == 4)):
        raise Failure(f"IP Address '{text[:_LONGEST]}' parse error during conversion from string")
    if zoned:
        raise Failure(f"{what} with zone value is not allowed: '{text[:_LONGEST]}'")
    return ip


def kubernetes_address(text: str) -> IP:
    """`ip(string)` as Kubernetes has it.

    Raises:
        Failure: it is no address, has a zone, or is IPv4 mapped into IPv6.
    """
    ip = _address(text, "IP Address")
    if _is_mapped(ip):
        raise Failure(f"IPv4-mapped IPv6 address is not allowed: '{text}'")
    return ip


def extension_address(text: str) -> IP:
    """`ip(string)` as cel-go's network extension has it.

    Raises:
        Failure: it is no address, has a zone, or is IPv4 mapped into IPv6 in dotted form.
    """
    ip = _address(text, "IP Address")
    if not _is_mapped(ip):
        return ip
    if "." in text:
        raise Failure(f"IPv4-mapped IPv6 address is not allowed: '{text}'")
    return IP(4, ip.number & 0xFFFFFFFF)


def parse_cidr(text: str) -> CIDR:
    """`cidr(string)`.

    Raises:
        Failure: it is no network, has a zone, or is IPv4 mapped into IPv6.
    """
    address, slash, length = text.rpartition("/")
    if "%" in address and slash:
        raise Failure(f"CIDR with zone value is not allowed: '{text[:_LONGEST]}'")
    ip = _parse_any(address)
    if ip is None or not _LENGTH.fullmatch(length) or int(length) > _BITS[ip.family]:
        raise Failure(
            f"network address parse error during conversion from string: '{text[:_LONGEST]}'"
        )
    if _is_mapped(ip):
        raise Failure(f"IPv4-mapped IPv6 address is not allowed: '{text}'")
    return CIDR(ip, int(length))


def _succeeds(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except Failure:
            return False
        return True

    return check


def _functions(parse_ip: AddressParser) -> tuple[Function, ...]:
    def contains_ip(network: CIDR, text: str) -> bool:
        try:
            ip = parse_ip(text)
        except Failure as failure:
            raise NoSuchOverload(f"no such overload: containsIP: {failure.problem}") from failure
        return network.contains_ip(ip)

    def contains_cidr(network: CIDR, text: str) -> bool:
        try:
            other = parse_cidr(text)
        except Failure as failure:
            raise NoSuchOverload(f"no such overload: containsCIDR: {failure.problem}") from failure
        return network.contains_cidr(other)

    return (
        function("ip", [free("string_to_ip", STRING, result=IP_TYPE, call=parse_ip), _CIDR_IP]),
        function("isIP", [free("is_ip", STRING, result=BOOL, call=_succeeds(parse_ip))]),
        function(
            "ip.isCanonical",
            [
                free(
                    "ip_is_canonical",
                    STRING,
                    result=BOOL,
                    call=lambda text: str(parse_ip(text)) == text,
                )
            ],
        ),
        function("cidr", [free("string_to_cidr", STRING, result=CIDR_TYPE, call=parse_cidr)]),
        function("isCIDR", [free("is_cidr", STRING, result=BOOL, call=_succeeds(parse_cidr))]),
        function(
            "containsIP",
            [
                member(
                    "cidr_contains_ip_ip", CIDR_TYPE, IP_TYPE, result=BOOL, call=CIDR.contains_ip
                ),
                member("cidr_contains_ip_string", CIDR_TYPE, STRING, result=BOOL, call=contains_ip),
            ],
        ),
        function(
            "containsCIDR",
            [
                member(
                    "cidr_contains_cidr",
                    CIDR_TYPE,
                    CIDR_TYPE,
                    result=BOOL,
                    call=CIDR.contains_cidr,
                ),
                member(
                    "cidr_contains_cidr_string",
                    CIDR_TYPE,
                    STRING,
                    result=BOOL,
                    call=contains_cidr,
                ),
            ],
        ),
        *_MEMBERS,
    )


_CIDR_IP: Final = member("cidr_ip", CIDR_TYPE, result=IP_TYPE, call=lambda network: network.ip)
_MEMBERS: Final = (
    *(
        function(name, [member(f"ip_{name}", IP_TYPE, result=result, call=call)])
        for name, result, call in (
            ("family", INT, lambda ip: ip.family),
            ("isUnspecified", BOOL, IP.is_unspecified),
            ("isLoopback", BOOL, IP.is_loopback),
            ("isLinkLocalMulticast", BOOL, IP.is_link_local_multicast),
            ("isLinkLocalUnicast", BOOL, IP.is_link_local_unicast),
            ("isGlobalUnicast", BOOL, IP.is_global_unicast),
        )
    ),
    function("masked", [member("cidr_masked", CIDR_TYPE, result=CIDR_TYPE, call=CIDR.masked)]),
    function(
        "prefixLength",
        [member("cidr_prefix_length", CIDR_TYPE, result=INT, call=lambda net: net.length)],
    ),
    function(
        "string",
        [
            free("ip_to_string", IP_TYPE, result=STRING, call=str),
            free("cidr_to_string", CIDR_TYPE, result=STRING, call=str),
        ],
    ),
)

LIBRARY: Final = Library("kubernetes.net", functions=_functions(kubernetes_address))
EXTENSION: Final = Library(
    "kubernetes.net",
    functions=_functions(extension_address),
    variables={"net.IP": type_of(IP_TYPE), "net.CIDR": type_of(CIDR_TYPE)},
    constants={"net.IP": TypeValue(IP_TYPE.name), "net.CIDR": TypeValue(CIDR_TYPE.name)},
)
"""For the conformance suite only: kro's environment has no type names."""
