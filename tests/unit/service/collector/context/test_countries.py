"""Countries of addresses: from a file that may be missing, damaged or replaced at any time."""

import os
import random
from pathlib import Path

import mmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.collector.context.countries import CountryDatabase, DatabaseUnreadable, NoCountries

HONDURAS = {"203.0.113.0/24": "HN", "2001:db8::/32": "GT"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return mmdb.write(tmp_path / "countries.mmdb", HONDURAS)


def loaded(path: Path) -> CountryDatabase:
    database = CountryDatabase(path)
    database.refresh()
    return database


def replace_with(path: Path, content: bytes) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(content)
    other.replace(path)


def test_an_address_has_a_country(path: Path) -> None:
    """Of either version; an address that is not listed has none."""
    database = loaded(path)
    assert database.of("203.0.113.7") == "HN"
    assert database.of("2001:db8::7") == "GT"
    assert database.of("198.51.100.7") is None
    assert database.of("0.0.0.0") is None
    assert database.why_degraded() == []


def test_without_a_database_there_are_no_countries() -> None:
    """The default."""
    assert NoCountries().of("203.0.113.7") is None


@pytest.mark.parametrize(
    ("record", "country"),
    [
        ({"country": {"iso_code": "hn"}}, "HN"),
        ({"country_code": "HN", "country": "Honduras"}, "HN"),
        ({"country": "HN"}, "HN"),
        ({"country": "Honduras"}, None),
        ({"country": {"iso_code": "ÑN"}}, None),
        ({"country": {"iso_code": "1N"}}, None),
        ({"country": {"names": {"en": "Honduras"}}}, None),
        ({"country": {"iso_code": ["HN"]}}, None),
        ({"city": "x"}, None),
        (["HN"], None),
    ],
)
def test_the_databases_of_several_makers_are_read(
    tmp_path: Path, record: object, country: str | None
) -> None:
    """A text that is no code of two letters is no country."""
    database = loaded(mmdb.write(tmp_path / "x.mmdb", {"203.0.113.0/24": record}))
    assert database.of("203.0.113.7") == country


@pytest.mark.parametrize("ip", ["", "unknown", "2001:db8::7", "1.2.3", "203.0.113.7/24"])
def test_what_has_no_country_is_no_error(tmp_path: Path, ip: str) -> None:
    """Text that is no address, and IPv6 in a database of IPv4."""
    path = mmdb.write(tmp_path / "four.mmdb", {"203.0.113.0/24": "HN"}, version=4)
    assert loaded(path).of(ip) is None


def test_a_replaced_file_is_read_again(path: Path) -> None:
    """By its stamp; answers that were cached are not kept."""
    database = loaded(path)
    assert database.of("203.0.113.7") == "HN"
    replace_with(path, mmdb.content({"203.0.113.0/24": "NI"}))
    database.refresh()
    assert database.of("203.0.113.7") == "NI"


@pytest.mark.parametrize("content", [b"", b"no database", mmdb.content(HONDURAS)[:-40]])
def test_a_damaged_file_leaves_the_last_content_in_use(path: Path, content: bytes) -> None:
    """It is said until the file is whole again. A process that never read one has no countries."""
    database = loaded(path)
    replace_with(path, content)
    for _ in range(2):
        database.refresh()
        assert database.of("203.0.113.7") == "HN"
        (why,) = database.why_degraded()
        assert why == (
            f"the country database {path} cannot be read: it is no MMDB file, or damaged"
        )
    other = loaded(path)
    assert other.of("203.0.113.7") is None
    assert len(other.why_degraded()) == 1
    mmdb.write(path, {"203.0.113.0/24": "NI"})
    database.refresh()
    assert (database.of("203.0.113.7"), database.why_degraded()) == ("NI", [])


def test_a_missing_file_is_said_until_it_is_back(path: Path) -> None:
    """The same file, which need not be read again."""
    database = loaded(path)
    path.rename(path.with_suffix(".away"))
    database.refresh()
    assert database.of("203.0.113.7") == "HN"
    assert database.why_degraded() == [
        f"the country database {path} cannot be read: No such file or directory"
    ]
    path.with_suffix(".away").rename(path)
    database.refresh()
    assert database.why_degraded() == []
    path.unlink()
    path.mkdir()
    database.refresh()
    assert len(database.why_degraded()) == 1


def test_a_file_that_is_cut_where_it_lies_stops_nothing(path: Path) -> None:
    """A mapped file would kill the process with SIGBUS."""
    database = loaded(path)
    with path.open("r+b") as file:
        file.truncate(0)
    assert database.of("203.0.113.8") == "HN"


def test_a_file_that_cannot_be_read_is_an_error_of_one_line(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(DatabaseUnreadable, match="No such file") as caught:
        CountryDatabase(tmp_path / "none.mmdb").load()
    assert len(str(caught.value).splitlines()) == 1


@given(st.integers(0, 2**32), st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_damaged_bytes_never_raise(
    tmp_path_factory: pytest.TempPathFactory, seed: int, damages: int
) -> None:
    """Wherever they are: an address has a country or none."""
    chance = random.Random(seed)
    content = bytearray(mmdb.content(HONDURAS))
    for _ in range(damages):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path = tmp_path_factory.mktemp("damaged") / "countries.mmdb"
    path.write_bytes(content)
    database = loaded(path)
    for ip in ("203.0.113.7", "2001:db8::7", "198.51.100.7"):
        country = database.of(ip)
        assert country is None or (country.isalpha() and len(country) == 2)


def test_a_pipe_in_place_of_the_file_is_not_waited_for(path: Path) -> None:
    """The last content serves, and the reason is told."""
    database = loaded(path)
    path.unlink()
    os.mkfifo(path)
    database.refresh()
    assert database.of("203.0.113.7") == "HN"
    assert database.why_degraded() == [
        f"the country database {path} cannot be read: it is no regular file"
    ]
