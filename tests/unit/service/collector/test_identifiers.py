"""Identifiers and moments: exact, sortable, standard."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.collector.identifiers import iso_utc, us_of, uuid7

UNIX_US = st.integers(min_value=0, max_value=(1 << 48) * 1000 - 1)
MOMENTS = st.datetimes(timezones=st.just(UTC))
ZONES = st.integers(min_value=-1439, max_value=1439).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)


def all_ones(bits: int) -> int:
    """The largest random number."""
    return (1 << bits) - 1


def test_the_example_of_the_rfc() -> None:
    """The layout is that of RFC 9562, appendix A.6, here with no microseconds."""
    made = uuid7(0x017F22E279B0 * 1000, lambda bits: 0x18C4DC0C0C07398F)
    assert made == "017f22e2-79b0-7000-98c4-dc0c0c07398f"


@given(UNIX_US)
def test_is_a_canonical_uuid_of_version_7(unix_us: int) -> None:
    """Any moment gives a well-formed id that tells its millisecond."""
    made = uuid.UUID(uuid7(unix_us))
    assert str(made) == uuid7(unix_us, lambda bits: made.int & all_ones(62))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == unix_us // 1000


@given(UNIX_US, UNIX_US)
def test_ids_sort_by_microsecond(one: int, other: int) -> None:
    """A later microsecond gives a greater id, whatever the random bits."""
    earlier, later = sorted([one, other])
    if earlier < later:
        assert uuid7(earlier, all_ones) < uuid7(later, lambda bits: 0)


@given(st.integers(min_value=0, max_value=(1 << 48) * 1000 - 2))
def test_neighbouring_microseconds_sort(unix_us: int) -> None:
    """One microsecond apart is enough."""
    assert uuid7(unix_us, all_ones) < uuid7(unix_us + 1, lambda bits: 0)


def test_ids_of_one_microsecond_differ() -> None:
    """Within a microsecond, 62 random bits tell ids apart."""
    assert len({uuid7(1_800_000_000_123_456) for _ in range(1000)}) == 1000


@pytest.mark.parametrize("unix_us", [-1, (1 << 48) * 1000])
def test_a_moment_that_does_not_fit_is_refused(unix_us: int) -> None:
    """A moment out of range is an error, never a wrong id."""
    with pytest.raises(ValueError, match="UUIDv7"):
        uuid7(unix_us)


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_795_407_000_123_456, "2026-11-23T04:10:00.123456Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_spells_moments(us: int, text: str) -> None:
    """Six decimals and a Z, in every year."""
    assert iso_utc(us) == text


@pytest.mark.parametrize("us", [-62_135_596_800_000_001, 253_402_300_800_000_000, 10**30])
def test_years_out_of_range_are_refused(us: int) -> None:
    """A moment outside the years 1 to 9999 has no spelling."""
    with pytest.raises(OverflowError):
        iso_utc(us)


@given(MOMENTS, ZONES)
def test_moments_survive_the_way_there_and_back(moment: datetime, zone: timezone) -> None:
    """Microseconds are exact, whatever zone the datetime is in."""
    us = us_of(moment)
    text = iso_utc(us)
    assert datetime.fromisoformat(text) == moment
    assert us_of(moment.replace(tzinfo=zone)) == us - zone.utcoffset(None) // timedelta(
        microseconds=1
    )


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_moments_do(one: datetime, other: datetime) -> None:
    """Sorting the text sorts the moments."""
    assert (iso_utc(us_of(one)) < iso_utc(us_of(other))) == (one < other)


def test_a_naive_datetime_is_refused() -> None:
    """A datetime without a zone is no moment."""
    with pytest.raises(TypeError):
        us_of(datetime(2026, 11, 23))  # noqa: DTZ001
