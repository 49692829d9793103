"""The client's address: believed from our own proxies, and from nobody else."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.collector.client import ClientAddress, throttle_key

PROXIES = ["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.7"]
PEERS = ["10.0.0.1", "192.0.2.7", "2001:db8:ffff::1", "::ffff:10.0.0.1"]
HEADERS = st.one_of(
    st.text(),
    st.lists(
        st.one_of(
            st.ip_addresses().map(str),
            st.ip_addresses(v=4).map(lambda ip: f"{ip}:80"),
            st.ip_addresses(v=6).map(lambda ip: f" [{ip}]:80"),
            st.ip_addresses(network="10.0.0.0/8").map(str),
            st.text(max_size=8),
        ),
        max_size=50,
    ).map(",".join),
)


@pytest.fixture
def client() -> ClientAddress:
    """Addresses behind the proxies of these tests."""
    return ClientAddress(PROXIES)


@pytest.mark.parametrize("peer", PEERS)
def test_a_trusted_peer_tells_the_client(client: ClientAddress, peer: str) -> None:
    """The hop a trusted proxy wrote is the client."""
    assert client.resolve(peer, "203.0.113.9") == "203.0.113.9"


@pytest.mark.parametrize("forwarded_for", [None, "", " ", ",", "unknown", "_hidden", "1.2.3"])
def test_a_trusted_peer_without_a_hop_is_the_client(
    client: ClientAddress, forwarded_for: str | None
) -> None:
    """Where nothing usable is forwarded, the peer it is."""
    assert client.resolve("10.0.0.1", forwarded_for) == "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded_for", "expected"),
    [
        ("6.6.6.6, 203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 10.2.3.4, 192.0.2.7", "203.0.113.9"),
        ("203.0.113.9,garbage,10.2.3.4", "10.2.3.4"),
        ("garbage,10.9.9.9,10.2.3.4", "10.9.9.9"),
        ("10.9.9.9, 10.2.3.4", "10.9.9.9"),
        ("203.0.113.9, ,10.2.3.4", "10.2.3.4"),
    ],
)
def test_walks_from_the_right(client: ClientAddress, forwarded_for: str, expected: str) -> None:
    """The first untrusted hop from the right wins; a bad one ends the walk."""
    assert client.resolve("10.0.0.1", forwarded_for) == expected


@pytest.mark.parametrize(
    ("hop", "expected"),
    [
        ("203.0.113.9:567", "203.0.113.9"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("[::ffff:203.0.113.9]:80", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("\t203.0.113.9 ", "203.0.113.9"),
    ],
)
def test_one_spelling(client: ClientAddress, hop: str, expected: str) -> None:
    """Ports and zones are dropped, and every address has one spelling."""
    assert client.resolve("10.0.0.1", hop) == expected


@pytest.mark.parametrize("peer", ["", "/run/beacon.sock", "x" * 100])
def test_a_peer_without_an_address(peer: str) -> None:
    """A Unix socket's peer is 0.0.0.0, and forwards only where that is trusted."""
    assert ClientAddress(PROXIES).resolve(peer, "203.0.113.9") == "0.0.0.0"
    assert ClientAddress(["0.0.0.0"]).resolve(peer, "203.0.113.9") == "203.0.113.9"


def test_a_long_header_is_read_from_its_end(client: ClientAddress) -> None:
    """However long the header, its last hops count."""
    assert client.resolve("10.0.0.1", "6.6.6.6," * 10_000 + "203.0.113.9") == "203.0.113.9"


def test_hops_beyond_the_limit_do_not_count(client: ClientAddress) -> None:
    """The walk ends after 32 hops."""
    assert client.resolve("10.0.0.1", "203.0.113.9," + ",".join(["10.0.0.2"] * 31)) == (
        "203.0.113.9"
    )
    assert client.resolve("10.0.0.1", "203.0.113.9," + ",".join(["10.0.0.2"] * 32)) == "10.0.0.2"


def test_a_cut_hop_is_not_an_address(client: ClientAddress) -> None:
    """A hop the length limit cuts in two is not read as another address."""
    tail = "," + "10.0.0.2".rjust(4095 - len("3.0.113.9"))
    assert client.resolve("10.0.0.1", "203.0.113.9" + tail) == "10.0.0.2"


@pytest.mark.parametrize("bad", ["", "proxy.example", "10.0.0.0/33", "10.0.0.1/8", "*"])
def test_a_bad_proxy_is_named(bad: str) -> None:
    """A mistake in the trusted proxies is refused, and named."""
    with pytest.raises(ValueError, match="not an address or network") as refused:
        ClientAddress(["10.0.0.1", bad])
    assert repr(bad) in str(refused.value)


@pytest.mark.parametrize("proxy", ["::ffff:10.0.0.0/104", "::ffff:10.0.0.1"])
def test_a_mapped_proxy_is_the_ipv4_one(proxy: str) -> None:
    """A trusted network in IPv4-mapped spelling means the IPv4 network."""
    assert ClientAddress([proxy]).resolve("10.0.0.1", "203.0.113.9") == "203.0.113.9"


@given(HEADERS)
def test_any_header_gives_an_address(header: str) -> None:
    """Whatever the header says, the answer is an address."""
    ip_address(ClientAddress(PROXIES).resolve("10.0.0.1", header))


@given(HEADERS)
def test_an_untrusted_header_never_matters(header: str) -> None:
    """A client cannot choose its own address."""
    assert ClientAddress(PROXIES).resolve("198.51.100.4", header) == "198.51.100.4"


@given(st.ip_addresses().map(str), HEADERS)
def test_without_proxies_the_peer_is_the_client(peer: str, header: str) -> None:
    """Where no proxy is trusted the header is never looked at."""
    bare = ClientAddress([])
    assert bare.resolve(peer, header) == bare.resolve(peer, None)


@pytest.mark.parametrize(
    ("ip", "key"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
    ],
)
def test_throttled_by_subscriber(ip: str, key: str) -> None:
    """An IPv4 address is a key of its own, an IPv6 address shares its /64."""
    assert throttle_key(ip) == key


@given(HEADERS)
def test_every_client_has_a_key(header: str) -> None:
    """Every result of resolve can be throttled."""
    assert throttle_key(ClientAddress(PROXIES).resolve("10.0.0.1", header))
