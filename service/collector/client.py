"""The client of a request: its address, and its key in the throttle.

The peer of the connection is the client, unless it is a trusted proxy. Then X-Forwarded-For is read
from the right, where our own proxies write, and the first hop that is not trusted is the client.
The header of an untrusted peer is ignored, because the client may have written it.

Addresses have one spelling: IPv4-mapped IPv6 as IPv4, IPv6 compressed, no zone ids. A peer without
an address (a Unix socket) is "0.0.0.0"; trusting that address trusts the socket.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple

NO_ADDRESS = "0.0.0.0"  # noqa: S104 - a name for "unknown", nothing is bound to it

_HEADER_CHARS_MAX = 4096
_HOPS_MAX = 32
_HOP_CHARS_MAX = 64
_CACHED_HOPS_MAX = 1024
_CLIENT_BITS_IPV6 = 64

_WITH_PORT = re.compile(r"\[([^\[\]]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


class _Hop(NamedTuple):
    ip: str
    trusted: bool


class ClientAddress:
    """The way from a connection to the client's address, behind trusted proxies."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        """Trust these addresses and CIDR networks. Raises ValueError, which names the bad one."""
        self._trusted = tuple(_network(text) for text in trusted_proxies)
        self._no_address = _Hop(NO_ADDRESS, self._trusts(IPv4Address(NO_ADDRESS)))
        self._hop = lru_cache(maxsize=_CACHED_HOPS_MAX)(self._read_hop)

    def resolve(self, peer: str, forwarded_for: str | None) -> str:
        """Return the client's address, from the connection's peer and its X-Forwarded-For.

        A hop that is not an address ends the search at the hop before it; if all hops are trusted,
        the leftmost is the client. Never raises.
        """
        client = self._bounded_hop(peer) or self._no_address
        if not client.trusted or forwarded_for is None:
            return client.ip
        for text in _hops_from_right(forwarded_for):
            hop = self._bounded_hop(text)
            if hop is None:
                break
            client = hop
            if not hop.trusted:
                break
        return client.ip

    def share_key(self, peer: str) -> str | None:
        """Return the key under which a peer's connections are counted.

        None for a trusted proxy, whose connections come from many clients.
        """
        hop = self._bounded_hop(peer) or self._no_address
        return None if hop.trusted else throttle_key(hop.ip)

    def _bounded_hop(self, text: str) -> _Hop | None:
        return self._hop(text) if len(text) <= _HOP_CHARS_MAX else None

    def _read_hop(self, text: str) -> _Hop | None:
        try:
            address = _read_address(text)
        except ValueError:
            return None
        return _Hop(str(address), self._trusts(address))

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


@lru_cache(maxsize=_CACHED_HOPS_MAX)
def throttle_key(ip: str) -> str:
    """Return a client's key in the throttle: the IPv4 address, or the /64 of an IPv6 address.

    The /64, because one IPv6 subscriber has all of its addresses. `ip` is a result of
    ClientAddress.resolve. Raises ValueError for IPv6 text that is not an address.
    """
    if ":" not in ip:
        return ip
    return str(IPv6Network((ip, _CLIENT_BITS_IPV6), strict=False))


def address_of(text: str) -> str | None:
    """Return the address in a text, as `ClientAddress.resolve` spells it; None if it is none.

    A port after the address is dropped.
    """
    try:
        return str(_read_address(text)) if len(text) <= _HOP_CHARS_MAX else None
    except ValueError:
        return None


def _hops_from_right(forwarded_for: str) -> Iterator[str]:
    """Yield the last hops of the header, trimmed; leave out a hop that the length limit cuts."""
    hops = forwarded_for[-_HEADER_CHARS_MAX:].rsplit(",", _HOPS_MAX)
    if len(forwarded_for) > _HEADER_CHARS_MAX:
        del hops[0]
    return (hop.strip() for hop in reversed(hops[-_HOPS_MAX:]))


def _read_address(text: str) -> IPv4Address | IPv6Address:
    match = _WITH_PORT.fullmatch(text)
    return _address(match[1] or match[2] if match else text)


def _address(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ip_network(text.strip())
    except ValueError as error:
        raise ValueError(f"not an address or network: {text!r}") from error
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        # Addresses are compared as IPv4, so a mapped network must be too.
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return network
